"""The rows of a table of metrics, found by what they are of, and written as people write numbers."""

import numpy as np

from skyloom.report.metrics import SURVEY

DECIMALS = {
    "mjd": 5, "seeing": 2, "depth": 2, "zero_point": 3, "sky": 2, "airmass": 2, "coadd_depth": 2, "wcs_scatter": 1,
    "calib_age": 2, "sky_flux": 1, "sky_chi2": 2,
}  # fmt: skip
# Three digits of it are a thousand, which g writes as 1e+03.
ROUNDS_TO_A_THOUSAND = 999.5


class Numbers:
    """The rows of a table of metrics by subject, name and band.

    Parameters
    ----------
    metrics : pyarrow.Table
        Schema METRIC.
    """

    def __init__(self, metrics):
        self.rows = metrics.to_pylist()
        self._by_subject = {}
        for row in self.rows:
            self._by_subject.setdefault(row["subject"], {})[row["name"], row["band"]] = row
        of_survey = self._by_subject.get(SURVEY, {})
        self.bands = list(dict.fromkeys(band for _, band in of_survey if band != "all"))

    def of(self, name, band="all", subject=SURVEY):
        """Return one row (dict; None where there is none).

        Parameters
        ----------
        name, band, subject : str
            Which one.
        """
        return self._by_subject.get(subject, {}).get((name, band))

    def subjects(self, kind):
        """Return the subjects of a kind.

        Parameters
        ----------
        kind : str
            First word of the subject.

        Returns
        -------
        list of (str, dict, str)
            The rest of the subject, its rows by name, and its band.
        """
        found = []
        for subject, rows in self._by_subject.items():
            if subject.startswith(f"{kind} "):
                bands = [band for _, band in rows]
                found.append(
                    (subject[len(kind) + 1 :], {name: row for (name, _), row in rows.items()}, bands[0])
                )
        return found


def format_number(row):
    """Write the value of a metric for people.

    Parameters
    ----------
    row : dict or None
        Row of a table of metrics.

    Returns
    -------
    str
        A dash where nothing was measured.
    """
    if row is None or not np.isfinite(row["value"]):
        return "–"
    value = row["value"]
    if row["name"].startswith("n_"):
        return f"{value:.0f}"
    if row["name"] in DECIMALS:
        return f"{value:.{DECIMALS[row['name']]}f}"
    return f"{value:.3g}" if abs(value) < ROUNDS_TO_A_THOUSAND else f"{value:.0f}"
