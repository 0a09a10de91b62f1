"""Which calibration a visit takes: the epoch that is valid at its time, by kind, band and camera."""

from skyloom.core.calib_images import KINDS_OF_A_BAND
from skyloom.workflow.config import Problem
from skyloom.workflow.paths import NO_BAND

CORRECTED_BY = {"dark": ("bias",), "flat": ("bias", "dark")}
"""Calibrations that are taken off the frames of a kind before they are combined."""


def science_epoch(camera):
    """Return the epoch of the defects that are made from a camera's science frames (str).

    Parameters
    ----------
    camera : str
        The camera's name.
    """
    return f"science-{camera}"


def calib_band(kind, band):
    """Return the band of a calibration's path: that of flats and illuminations, none otherwise (str).

    Parameters
    ----------
    kind : str
        Kind of calibration.
    band : str
        Band of the frame or visit.
    """
    return band if kind in KINDS_OF_A_BAND else NO_BAND


class CalibEpochs:
    """Epochs of all kinds of calibration.

    Parameters
    ----------
    frames : dict of int to dict
        Rows of the table of calibration frames.
    defects_from_science : bool
        Whether cameras without dark frames get their defects from their science frames, as one epoch.
    illumination : bool
        Whether flats get an illumination from the science frames that take them.
    """

    def __init__(self, frames, *, defects_from_science, illumination=False):
        self._rows = frames
        self._frames_of = {}
        self._validity = {}
        self._kinds_of = {}
        self._defects_from_science, self._illumination = defects_from_science, illumination
        for frame, row in frames.items():
            band = calib_band(row["kind"], row["band"])
            self._frames_of.setdefault((row["epoch"], row["kind"], band), []).append(frame)
            epochs = self._validity.setdefault((row["camera"], row["kind"], band), {})
            epochs[row["epoch"]] = (row["valid_from"], row["valid_until"])
            self._kinds_of.setdefault(row["camera"], set()).add(row["kind"])
        self._camera_of = {row["epoch"]: row["camera"] for row in frames.values()}

    def problems(self, file):
        """Find epochs that two cameras share, or that are valid at once.

        Parameters
        ----------
        file : str
            Name of the table.

        Returns
        -------
        list of Problem
            All of them.
        """
        problems, cameras = self._validity_problems(file), {}
        for (camera, kind, band), epochs in self._validity.items():
            ordered = sorted((start, end, epoch) for epoch, (start, end) in epochs.items())
            for (_, end, epoch), (next_start, _, next_epoch) in zip(ordered, ordered[1:], strict=False):
                if next_start < end:
                    found = f"epochs {epoch} and {next_epoch} of {kind} (band {band}) are both valid from {next_start}"
                    problems.append(Problem(file, f"epoch {next_epoch}", found, f"valid_from >= {end}"))
            for epoch in epochs:
                other = cameras.setdefault(epoch, camera)
                if other != camera:
                    found = f"belongs to cameras {other} and {camera}"
                    problems.append(Problem(file, f"epoch {epoch}", found, "one camera an epoch"))
        return problems

    def _validity_problems(self, file):
        """Rows that end before they begin, or that disagree with the first row of their epoch, kind and band."""
        problems = []
        for (epoch, kind, band), frames in self._frames_of.items():
            first = self._rows[frames[0]]
            start, end = first["valid_from"], first["valid_until"]
            where = f"epoch {epoch}, {kind} (band {band})"
            if start >= end:
                found = f"is valid from {start} until {end}"
                problems.append(Problem(file, where, found, "valid_from < valid_until"))
            for frame in frames[1:]:
                row = self._rows[frame]
                if (row["valid_from"], row["valid_until"]) != (start, end):
                    found = f"frame {frame} is valid from {row['valid_from']} until {row['valid_until']}"
                    allowed = f"{start} until {end}, as frame {frames[0]}"
                    problems.append(Problem(file, where, found, allowed))
                    break
        return problems

    def of_frames(self, kind, combined):
        """Find the bias or dark that the frames of a combined dark or flat take.

        Parameters
        ----------
        kind : str
            bias or dark.
        combined : tuple of str
            Epoch, kind and band of the frames.

        Returns
        -------
        str or None
            Epoch that is valid when the middle one of the frames was taken; None when there is none.
        """
        frames = self._frames_of.get(combined)
        if not frames:
            return None
        row = self._middle_row(frames)
        return self._valid_epoch((row["camera"], kind, NO_BAND), row["mjd"])

    def _middle_row(self, frames):
        """Row of the middle one of some frames in time."""
        rows = sorted((self._rows[frame] for frame in frames), key=lambda row: row["mjd"])
        return rows[len(rows) // 2]

    def frame_problems(self, file):
        """Find darks and flats for which no bias or dark is valid although their camera has such frames.

        Parameters
        ----------
        file : str
            Name of the table.

        Returns
        -------
        list of Problem
            One for each epoch, kind and band, and each kind that it lacks.
        """
        problems = []
        for combined, frames in self._frames_of.items():
            row = self._middle_row(frames)
            for kind in CORRECTED_BY.get(combined[1], ()):
                if kind not in self._kinds_of[row["camera"]] or self.of_frames(kind, combined) is not None:
                    continue
                epoch, of, band = combined
                found = f"its frames at mjd {row['mjd']:.5f} find no {kind} of camera {row['camera']}"
                allowed = f"{kind} frames valid then, or none at all"
                problems.append(Problem(file, f"epoch {epoch}, {of} (band {band})", found, allowed))
        return problems

    def frames(self, epoch, kind, band):
        """Return the frames of one combined calibration (list of int; empty when there are none).

        Parameters
        ----------
        epoch, kind, band : str
            The combined calibration.
        """
        return self._frames_of.get((epoch, kind, band), [])

    def camera(self, epoch):
        """Return the name of the camera that an epoch belongs to (str).

        Parameters
        ----------
        epoch : str
            Epoch of calibration frames; those made from science frames are not known here.
        """
        return self._camera_of[epoch]

    def combinations(self):
        """Return every (epoch, kind, band) that has frames (list of tuple)."""
        return sorted(self._frames_of)

    def of_visit(self, row):
        """Find the calibrations of one visit.

        Parameters
        ----------
        row : dict
            The visit.

        Returns
        -------
        dict of str to (str, str)
            (epoch, band of the path) by kind: those that the camera has frames of and that are valid then,
            defects, which come with the dark or else from science frames, and the flat's illumination.
        """
        found = {}
        for kind in self._kinds_of.get(row["camera"], ()):
            band = calib_band(kind, row["band"])
            epoch = self._valid_epoch((row["camera"], kind, band), row["mjd"])
            if epoch is not None:
                found[kind] = (epoch, band)
        if self._illumination and "flat" in found:
            found["illumination"] = found["flat"]
        if "dark" in found:
            found["defects"] = found["dark"]
        elif self._defects_from_science and "dark" not in self._kinds_of.get(row["camera"], ()):
            found["defects"] = (science_epoch(row["camera"]), NO_BAND)
        return found

    def _valid_epoch(self, key, mjd):
        """Epoch of a camera, kind and band that is valid at a time, None when there is none."""
        epochs = self._validity.get(key, {})
        return next((epoch for epoch, (start, end) in epochs.items() if start <= mjd < end), None)

    def visit_problems(self, file, visits):
        """Find visits for which no calibration of a kind that their camera has is valid.

        Parameters
        ----------
        file : str
            Name of the table of calibration frames.
        visits : dict of int to dict
            Rows of the visit table.

        Returns
        -------
        list of Problem
            One for each camera, kind and band, with the first visit concerned.
        """
        problems = {}
        for visit, row in visits.items():
            found = self.of_visit(row)
            for kind in sorted(self._kinds_of.get(row["camera"], ())):
                band = calib_band(kind, row["band"])
                key = (row["camera"], kind, band)
                if kind in found or key in problems:
                    continue
                text = f"visit {visit} at mjd {row['mjd']:.5f} finds no {kind} of camera {row['camera']} (band {band})"
                problems[key] = Problem(
                    file, "valid_from, valid_until", text, f"{kind} frames valid then, or none at all"
                )
        return list(problems.values())
