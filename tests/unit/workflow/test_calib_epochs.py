"""Calibration epochs: the one that is valid when a visit was taken, and tables that leave it open."""

from skyloom.workflow.calib_epochs import CalibEpochs


def frame(kind, epoch, start, end, band="none", camera="cam", mjd=5):  # noqa: PLR0913
    """Row of a calibration frame."""
    return {
        "kind": kind,
        "epoch": epoch,
        "band": band,
        "camera": camera,
        "valid_from": start,
        "valid_until": end,
        "mjd": mjd,
    }


def visit(mjd, band="r", camera="cam"):
    """Row of a visit."""
    return {"visit": 1, "mjd": mjd, "band": band, "camera": camera}


def epochs_of(*frames, defects_from_science=True):
    """Epochs of numbered frames."""
    return CalibEpochs(dict(enumerate(frames)), defects_from_science=defects_from_science)


def test_a_visit_takes_the_epoch_that_is_valid_at_its_time():
    epochs = epochs_of(
        frame("bias", "e1", 0, 10), frame("bias", "e2", 10, 20), frame("flat", "e1", 0, 20, "r")
    )
    assert epochs.of_visit(visit(9.99))["bias"] == ("e1", "none")
    assert epochs.of_visit(visit(10))["bias"] == ("e2", "none")
    assert epochs.of_visit(visit(10))["flat"] == ("e1", "r")


def test_defects_come_with_the_dark_and_otherwise_from_science_frames():
    assert epochs_of(frame("dark", "e1", 0, 10)).of_visit(visit(5))["defects"] == ("e1", "none")
    assert epochs_of().of_visit(visit(5)) == {"defects": ("science-cam", "none")}
    assert epochs_of(defects_from_science=False).of_visit(visit(5)) == {}


def test_an_illumination_comes_with_the_flat_alone_and_only_where_it_is_asked_for():
    frames = dict(enumerate([frame("bias", "e1", 0, 10), frame("flat", "e2", 0, 10, "r")]))
    asked, unasked = (
        CalibEpochs(frames, defects_from_science=False, illumination=flag) for flag in (True, False)
    )
    assert asked.of_visit(visit(5))["illumination"] == ("e2", "r")
    assert "illumination" not in asked.of_visit(visit(5, "g"))
    assert "illumination" not in unasked.of_visit(visit(5))


def test_a_visit_outside_all_epochs_is_named():
    epochs = epochs_of(frame("bias", "e1", 0, 10), frame("flat", "e1", 0, 10, "g"))
    problems = [str(p) for p in epochs.visit_problems("frames.csv", {1: visit(12), 2: visit(13)})]
    assert len(problems) == 2
    assert "visit 1 at mjd 12.00000 finds no bias of camera cam" in problems[0]
    assert "no flat of camera cam (band r)" in problems[1]


def test_epochs_that_are_valid_at_once_are_refused():
    problems = epochs_of(frame("bias", "e1", 0, 11), frame("bias", "e2", 10, 20)).problems("frames.csv")
    assert "epochs e1 and e2 of bias (band none) are both valid from 10" in str(problems[0])


def test_an_epoch_that_two_cameras_share_is_refused():
    problems = epochs_of(frame("bias", "e1", 0, 11), frame("bias", "e1", 0, 11, camera="other")).problems(
        "frames.csv"
    )
    assert "belongs to cameras cam and other" in str(problems[0])


def test_darks_and_flats_take_what_is_valid_at_their_middle_frame():
    flats = [frame("flat", "night", 10, 11, "r", mjd=mjd) for mjd in (9.9, 10.1, 10.2)]
    epochs = epochs_of(frame("bias", "may", 0, 10), frame("bias", "june", 10, 20), *flats)
    assert epochs.of_frames("bias", ("night", "flat", "r")) == "june"
    assert epochs.of_frames("dark", ("night", "flat", "r")) is None
    assert epochs.frame_problems("frames.csv") == []


def test_a_flat_without_a_valid_bias_is_named():
    epochs = epochs_of(frame("bias", "may", 0, 10), frame("flat", "night", 10, 11, "r", mjd=12))
    (problem,) = epochs.frame_problems("frames.csv")
    assert "epoch night, flat (band r): its frames at mjd 12.00000 find no bias of camera cam" in str(problem)


def test_rows_of_an_epoch_that_disagree_on_its_validity_are_refused():
    epochs = epochs_of(frame("bias", "e1", 0, 10), frame("bias", "e1", 0, 11), frame("dark", "e2", 5, 5))
    first, second = map(str, epochs.problems("frames.csv"))
    assert "epoch e1, bias (band none): frame 1 is valid from 0 until 11" in first
    assert "epoch e2, dark (band none): is valid from 5 until 5" in second
