"""Input and parameter functions of the rules that take raw frames, cameras and calibrations."""

import inspect

from skyloom.core.errors import ConfigError
from skyloom.core.images import VISIT_FIELDS
from skyloom.workflow.calib_epochs import science_epoch
from skyloom.workflow.paths import NO_BAND, product_path

# Columns of the visit table that say which files there are and which enter what, and nothing of a frame itself.
PLANNING_COLUMNS = ("exposure_name", "night", "raw", "use")
FRAME_COLUMNS = ("kind", "band", "mjd", "exposure_time")
"""What a calibration frame's header is compared with."""
MOST_SKIES = 40
"""Science frames of one illumination: their mean gradients fall with the root of their number, as what is left does."""


def function_of_wildcards(function):
    """Return a plain function of the wildcards that carries its signature.

    Parameters
    ----------
    function : callable
        Takes a job's wildcards.

    Returns
    -------
    function
        The same; Snakemake asks for the signature of each function at each job, which costs a fifth of the
        time of a graph of 10,000 jobs when Python has to work it out.
    """

    def ask(wildcards):
        return function(wildcards)

    ask.__signature__ = inspect.signature(ask)
    return ask


class UnknownDataIdError(ConfigError):
    """A target names something that the survey does not have.

    Parameters
    ----------
    what : str
        What was asked for.
    known : str
        What there is.
    """

    def __init__(self, what, known):
        super().__init__(f"{what} is not part of the survey, which has {known}")
        self.what, self.known = what, known


def _band_of(wildcards):
    """Band of a calibration's job; those without a band have no such wildcard."""
    return getattr(wildcards, "band", NO_BAND)


class RawTargets:
    """What rules ask of a survey's visits, raw frames and calibrations.

    Parameters
    ----------
    survey : Survey
        The survey.
    """

    def __init__(self, survey):
        self.survey = survey
        self.root = survey.root
        self.epochs = survey.epochs
        self._observations = {
            visit: {name: value for name, value in row.items() if name not in PLANNING_COLUMNS}
            for visit, row in survey.visits.items()
        }
        self.calibs = {visit: self.epochs.of_visit(survey.visits[visit]) for visit in survey.detectors}

    def path(self, name, **data_id):
        """Return the path of one product (str).

        Parameters
        ----------
        name : str
            A key of `skyloom.workflow.paths.PATTERNS`.
        **data_id : str or int
            Value of each wildcard of its pattern.
        """
        return product_path(self.root, name, **data_id)

    def visit_row(self, wildcards):
        """Return the visit table's row of a job (dict).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: visit.

        Raises
        ------
        UnknownDataIdError
            If the survey has no such visit.
        """
        visit = int(wildcards.visit)
        if visit not in self.survey.visits:
            visits = list(self.survey.visits)
            raise UnknownDataIdError(
                f"visit {visit}", f"{len(visits)} visits, {min(visits)} to {max(visits)}"
            )
        return self.survey.visits[visit]

    def observation_of(self, wildcards):
        """Return what happened at the telescope: a job's row of the visit table without `PLANNING_COLUMNS` (dict).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: visit.

        Raises
        ------
        UnknownDataIdError
            If the survey has no such visit.
        """
        return self._observations[self.visit_row(wildcards)["visit"]]

    def camera_of(self, wildcards):
        """Return the path of the camera file of a job's visit (str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: visit.

        Raises
        ------
        UnknownDataIdError
            If the survey has no such visit.
        """
        return self.survey.cameras[self.visit_row(wildcards)["camera"]].file

    def camera_content_of(self, wildcards):
        """Return the hash of the content of the camera file of a job's visit (str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: visit.

        Raises
        ------
        UnknownDataIdError
            If the survey has no such visit.
        """
        return self.survey.cameras[self.visit_row(wildcards)["camera"]].content

    def raw_of(self, wildcards):
        """Return the raw file of a visit and detector (str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: visit and detector.

        Raises
        ------
        UnknownDataIdError
            If the survey has no such visit, or does not process this detector of it.
        """
        row = self.visit_row(wildcards)
        pair = (row["visit"], int(wildcards.detector))
        if pair not in self.survey.raws:
            kept = self.survey.detectors.get(row["visit"], ())
            raise UnknownDataIdError(
                f"detector {pair[1]} of visit {pair[0]}", f"detectors {list(kept)} of it"
            )
        return self.survey.raws[pair]

    def companion_of(self, column):
        """Return the input function of a file that belongs to a calibrated image.

        Parameters
        ----------
        column : str
            One of `skyloom.workflow.visits.COMPANIONS`.

        Returns
        -------
        function
            Of the wildcards visit and detector; gives a path (str), or no file (list) when the visit table has none.
        """

        def companion(wildcards):
            visit, detector = self.visit_row(wildcards)["visit"], int(wildcards.detector)
            return self.survey.companion_file(visit, detector, column) or []

        return function_of_wildcards(companion)

    def calib_of(self, kind):
        """Return the input function of one kind of calibration.

        Parameters
        ----------
        kind : str
            bias, dark, flat or defects.

        Returns
        -------
        function
            Of the wildcards visit and detector; gives a path (str), or no file (list) when the camera has none.
        """

        def calib(wildcards):
            found = self.calibs.get(self.visit_row(wildcards)["visit"], {}).get(kind)
            if found is None:
                return []
            epoch, band = found
            return self.path("calib", epoch=epoch, kind=kind, band=band, detector=wildcards.detector)

        return function_of_wildcards(calib)

    def calib_frames_of(self, kind):
        """Return the input function of the raw frames of one combined calibration.

        Parameters
        ----------
        kind : str
            bias, dark or flat.

        Returns
        -------
        function
            Of the wildcards epoch, detector and, for flats, band; gives paths (list of str), and raises
            UnknownDataIdError when there are no such frames.
        """

        def frames(wildcards):
            band = _band_of(wildcards)
            members = self.epochs.frames(wildcards.epoch, kind, band)
            if not members:
                known = [epoch for epoch, k, b in self.epochs.combinations() if (k, b) == (kind, band)]
                raise UnknownDataIdError(f"{kind} of epoch {wildcards.epoch}, band {band}", f"epochs {known}")
            return [self.survey.frame_file(frame, int(wildcards.detector)) for frame in members]

        return function_of_wildcards(frames)

    def frame_rows_of(self, kind):
        """Return the parameter function of what the table says about a combined calibration's frames.

        Parameters
        ----------
        kind : str
            dark or flat.

        Returns
        -------
        function
            Of the wildcards epoch and, for flats, band; gives rows with `FRAME_COLUMNS` alone in the order of
            `calib_frames_of` (list of dict).
        """

        def frame_rows(wildcards):
            members = self.epochs.frames(wildcards.epoch, kind, _band_of(wildcards))
            rows = [self.survey.frames[frame] for frame in members]
            return [{name: row[name] for name in FRAME_COLUMNS} for row in rows]

        return function_of_wildcards(frame_rows)

    def epoch_calib(self, kind, of):
        """Return the input function of the bias or dark that darks or flats take: the one valid at their time.

        Parameters
        ----------
        kind : str
            bias or dark.
        of : str
            What is combined: dark or flat.

        Returns
        -------
        function
            Of the wildcards epoch, detector and, for flats, band; gives a path (str), or no file (list) when
            there are no frames of `kind`.
        """

        def calib(wildcards):
            epoch = self.epochs.of_frames(kind, (wildcards.epoch, of, _band_of(wildcards)))
            if epoch is None:
                return []
            return self.path("calib", epoch=epoch, kind=kind, band=NO_BAND, detector=wildcards.detector)

        return function_of_wildcards(calib)

    def epoch_camera(self, index):
        """Return the parameter function of the camera of an epoch.

        Parameters
        ----------
        index : int
            Field of `CameraFile`: 0 for the path of the camera's file, 2 for the hash of its content.

        Returns
        -------
        function
            Of the wildcard epoch; gives a str.
        """

        def camera(wildcards):
            return self.survey.cameras[self._camera_name(wildcards.epoch)][index]

        return function_of_wildcards(camera)

    def _camera_name(self, epoch):
        """Camera of an epoch, also of those made from science frames."""
        by_science = {science_epoch(name): name for name in self.survey.cameras}
        if epoch in by_science:
            return by_science[epoch]
        return self.epochs.camera(epoch)

    def science_raws_of(self, wildcards):
        """Return the raw files of one detector in all visits of an epoch made from science frames (list of str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: epoch and detector.
        """
        name, detector = self._camera_name(wildcards.epoch), int(wildcards.detector)
        pairs = self.survey.raws.items()
        return [
            raw for (visit, d), raw in pairs if d == detector and self.survey.visits[visit]["camera"] == name
        ]

    def illumination_raws(self, wildcards):
        """Return the raw frames whose sky makes an illumination (list of str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: epoch, band and detector.

        Raises
        ------
        UnknownDataIdError
            If no visit takes it.
        """
        return [row["raw"] for row in self.illumination_frames(wildcards)]

    def illumination_calibs(self, wildcards):
        """Return the calibrations of these frames, each once (list of str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: epoch, band and detector.

        Raises
        ------
        UnknownDataIdError
            If no visit takes it.
        """
        rows = self.illumination_frames(wildcards)
        return sorted({path for row in rows for path in row["calibs"].values()})

    def illumination_frames(self, wildcards):
        """Return what is known of these frames, evenly spread over all that take the illumination (list of dict).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: epoch, band and detector.

        Returns
        -------
        list of dict
            ``raw``, ``visit`` (columns `VISIT_FIELDS`) and ``calibs``, the path of each kind but the illumination.

        Raises
        ------
        UnknownDataIdError
            If no visit takes it.
        """
        wanted, detector = (wildcards.epoch, wildcards.band), int(wildcards.detector)
        visits = [
            visit
            for visit, calibs in self.calibs.items()
            if calibs.get("illumination") == wanted and (visit, detector) in self.survey.raws
        ]
        if not visits:
            known = sorted(
                {calibs["illumination"] for calibs in self.calibs.values() if "illumination" in calibs}
            )
            raise UnknownDataIdError(
                f"illumination of epoch {wanted[0]}, band {wanted[1]}", f"(epoch, band) {known}"
            )
        n_frame = min(len(visits), MOST_SKIES)
        step = (len(visits) - 1) / max(n_frame - 1, 1)
        return [self._frame_of_sky(visits[round(number * step)], detector) for number in range(n_frame)]

    def _frame_of_sky(self, visit, detector):
        """One row of `illumination_frames`."""
        calibs = {
            kind: self.path("calib", epoch=epoch, kind=kind, band=band, detector=detector)
            # Sorted, since Snakemake compares the text: another order would make it anew.
            for kind, (epoch, band) in sorted(self.calibs[visit].items())
            if kind != "illumination"
        }
        return {
            "raw": self.survey.raws[visit, detector],
            "visit": {name: self.survey.visits[visit][name] for name in VISIT_FIELDS},
            "calibs": calibs,
        }

    def all_calibs(self):
        """Return every combined calibration that the survey's visits take (list of str)."""
        wanted = {
            (epoch, kind, band, detector)
            for visit, detectors in self.survey.detectors.items()
            for kind, (epoch, band) in self.calibs[visit].items()
            for detector in detectors
        }
        return [self.path("calib", epoch=e, kind=k, band=b, detector=d) for e, k, b, d in sorted(wanted)]
