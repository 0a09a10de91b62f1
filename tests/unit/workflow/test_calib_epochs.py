"""Calibration epochs: the one that is valid when a visit was taken, and tables that leave it open."""

from skyloom.workflow.calib_epochs import CalibEpochs


def frame(kind, epoch, start, end, band="none", camera="cam"):
    """Row of a calibration frame."""
    return {
        "kind": kind,
        "epoch": epoch,
        "band": band,
        "camera": camera,
        "valid_from": start,
        "valid_until": end,
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
