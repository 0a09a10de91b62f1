"""Input and parameter functions of the rules: each answers from a table that was built once."""

from skyloom.core.sky_map import needed_settings
from skyloom.workflow.paths import product_path
from skyloom.workflow.raw_targets import RawTargets, UnknownDataIdError, function_of_wildcards
from skyloom.workflow.survey import template_exists

TEMPLATE_KIND = "good_seeing"
DEEP_KIND = "deep"
IS_TEMPLATE = ("template", "both")
IS_SCIENCE = ("science", "both")

# Methods that rules name as input or parameter functions.
ASKED_BY_SNAKEMAKE = (
    "observation_of", "camera_of", "camera_content_of", "sky_map_of_tract", "raw_of", "science_raws_of",
    "illumination_raws", "illumination_calibs", "illumination_frames", "visit_calib_of", "visit_sky_of",
    "calexps_of_warp", "warps_of_coadd", "bands_of_patch", "coadds_of_objects", "templates_of", "finished_templates_of",
    "dia_sources_of_tract", "ap_pairs", "ap_dia_sources",
)  # fmt: skip


class Targets(RawTargets):
    """Everything that rules ask of a survey.

    Parameters
    ----------
    survey : Survey
        The survey.
    """

    def __init__(self, survey):
        super().__init__(survey)
        self._index_patches()
        self.sky_map = needed_settings(survey.settings["sky_map"])
        self._sky_maps = {}
        for name in ASKED_BY_SNAKEMAKE:
            setattr(self, name, function_of_wildcards(getattr(self, name)))
        simulated = survey.settings.get("simulate") is not None
        given = survey.settings["reference"]["path"]
        self.reference = product_path(self.root, "reference") if given is None and simulated else given or []

    def _index_patches(self):
        """Build the tables from patches back to visits and detectors."""
        survey = self.survey
        self.warp_detectors, self.patch_visits, self.tract_sources = {}, {}, {}
        for (visit, detector), patches in survey.patches.items():
            row = survey.visits[visit]
            for tract, patch in patches:
                detectors = self.warp_detectors.setdefault((visit, tract, patch), [])
                if not detectors:
                    self.patch_visits.setdefault((row["band"], tract, patch), []).append(visit)
                detectors.append(detector)
        self.template_patches = {
            key
            for key, visits in self.patch_visits.items()
            if any(survey.visits[visit]["use"] in IS_TEMPLATE for visit in visits)
        }
        for pair in self.science_pairs():
            for tract in sorted({tract for tract, _ in survey.patches[pair]}):
                self.tract_sources.setdefault(tract, []).append(pair)
        self.object_patches = sorted({(tract, patch) for _, tract, patch in self.patch_visits})

    def of_visit(self, name):
        """Return the input function of a product of all detectors of a visit.

        Parameters
        ----------
        name : str
            A key of `skyloom.workflow.paths.PATTERNS` with the wildcards visit and detector.

        Returns
        -------
        function
            Of the wildcard visit; gives paths in order of detector (list of str).
        """

        def products(wildcards):
            visit = self.visit_row(wildcards)["visit"]
            return [self.path(name, visit=visit, detector=d) for d in self.survey.detectors.get(visit, ())]

        return function_of_wildcards(products)

    def visit_calib_of(self, wildcards):  # noqa: ARG002 (an input function)
        """Return the global calibration of a visit: none before the stage exists (list).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: visit.
        """
        return []

    def visit_sky_of(self, wildcards):
        """Return the sky of a visit, none where detectors keep their own backgrounds (str or list).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: visit.

        Raises
        ------
        UnknownDataIdError
            If the survey has no such visit.
        """
        if not self.survey.settings["visit_sky"]["enabled"]:
            return []
        return self.path("visit_sky", visit=self.visit_row(wildcards)["visit"])

    def calexps_of_warp(self, wildcards):
        """Return the calexps of a visit that may touch a patch (list of str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: visit, band, tract and patch.

        Raises
        ------
        UnknownDataIdError
            If the survey has no such visit, or the visit does not touch the patch in this band.
        """
        row = self.visit_row(wildcards)
        key = (row["visit"], int(wildcards.tract), wildcards.patch)
        if key not in self.warp_detectors or row["band"] != wildcards.band:
            what = f"warp of visit {key[0]} in band {wildcards.band} on tract {key[1]}, patch {key[2]}"
            met = sorted({(t, p) for v, t, p in self.warp_detectors if v == key[0]})
            raise UnknownDataIdError(what, f"this visit in band {row['band']} on (tract, patch) {met}")
        return [self.path("calexp", visit=key[0], detector=d) for d in self.warp_detectors[key]]

    def sky_map_of_tract(self, wildcards):
        """Return the settings of the sky map that say where the pixels of one tract lie (dict).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: tract.
        """
        tract = int(wildcards.tract)
        if tract not in self._sky_maps:
            self._sky_maps[tract] = needed_settings(self.survey.settings["sky_map"], tract)
        return self._sky_maps[tract]

    def visits_of_coadd(self, kind, band, tract, patch):
        """Return the visits of one coadd (list of int).

        Parameters
        ----------
        kind : str
            Kind of coadd, `DEEP_KIND` or `TEMPLATE_KIND`.
        band : str
            Band.
        tract : int or str
            Tract.
        patch : str
            Patch as x_y.

        Raises
        ------
        UnknownDataIdError
            If the survey has no visit for it.
        """
        visits = self.patch_visits.get((band, int(tract), patch), [])
        if kind == TEMPLATE_KIND:
            visits = [v for v in visits if self.survey.visits[v]["use"] in IS_TEMPLATE]
        if kind not in (TEMPLATE_KIND, DEEP_KIND) or not visits:
            known = sorted({(b, t, p) for b, t, p in self.patch_visits})
            what = f"coadd of kind {kind}, band {band}, tract {tract}, patch {patch}"
            raise UnknownDataIdError(
                what, f"kinds {DEEP_KIND} and {TEMPLATE_KIND} of (band, tract, patch) {known[:12]}"
            )
        return visits

    def warps_of_coadd(self, wildcards):
        """Return the warps of a coadd (list of str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: kind, band, tract and patch.

        Raises
        ------
        UnknownDataIdError
            If the survey has no visit for it.
        """
        visits = self.visits_of_coadd(wildcards.kind, wildcards.band, wildcards.tract, wildcards.patch)
        where = {"band": wildcards.band, "tract": wildcards.tract, "patch": wildcards.patch}
        return [self.path("warp", visit=visit, **where) for visit in visits]

    def bands_of_patch(self, wildcards):
        """Return the bands that a patch has visits in, in the survey's order (list of str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: tract and patch.
        """
        tract, patch = int(wildcards.tract), wildcards.patch
        return [band for band in self.survey.settings["bands"] if (band, tract, patch) in self.patch_visits]

    def coadds_of_objects(self, wildcards):
        """Return the deep coadds of a patch in the order of `bands_of_patch` (list of str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: tract and patch.

        Raises
        ------
        UnknownDataIdError
            If no visit touches the patch.
        """
        bands = self.bands_of_patch(wildcards)
        if not bands:
            what = f"patch {wildcards.patch} of tract {wildcards.tract}"
            raise UnknownDataIdError(what, f"(tract, patch) {self.object_patches[:12]}")
        where = {"tract": wildcards.tract, "patch": wildcards.patch}
        return [self.path("coadd", kind=DEEP_KIND, band=band, **where) for band in bands]

    def templates_of(self, wildcards):
        """Return the template coadds of this root that a detector may touch (list of str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: visit and detector.

        Raises
        ------
        UnknownDataIdError
            If the survey has no such visit.
        """
        return self._templates(wildcards, self.root, lambda key: key in self.template_patches)

    def finished_templates_of(self, wildcards):
        """Return the template coadds of the finished root `template.root` that a detector may touch (list of str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: visit and detector.

        Raises
        ------
        UnknownDataIdError
            If the survey has no such visit.
        """
        finished = self.survey.settings["template"]["root"].rstrip("/")
        return self._templates(wildcards, finished, lambda key: template_exists(finished, *key))

    def _templates(self, wildcards, root, has_template):
        """Template coadds below a root that a detector may touch."""
        row = self.visit_row(wildcards)
        patches = self.survey.patches.get((row["visit"], int(wildcards.detector)), ())
        where = [
            (row["band"], tract, patch)
            for tract, patch in patches
            if has_template((row["band"], tract, patch))
        ]
        return [
            product_path(root, "coadd", kind=TEMPLATE_KIND, band=b, tract=t, patch=p) for b, t, p in where
        ]

    def dia_sources_of_tract(self, wildcards):
        """Return the DIA sources of all detectors that may touch a tract, in order of visit (list of str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: tract.

        Raises
        ------
        UnknownDataIdError
            If no difference touches the tract.
        """
        pairs = self.tract_sources.get(int(wildcards.tract))
        if not pairs:
            raise UnknownDataIdError(
                f"tract {wildcards.tract}", f"DIA sources in tracts {sorted(self.tract_sources)}"
            )
        return [self.path("dia_source", visit=v, detector=d) for v, d in pairs]

    def template_visits(self):
        """Return the visits that make the template, by band (dict of str to list of int)."""
        found = {}
        for visit in self.survey.detectors:
            row = self.survey.visits[visit]
            if row["use"] in IS_TEMPLATE:
                found.setdefault(row["band"], []).append(visit)
        return found

    def science_pairs(self):
        """Return (visit, detector) of every difference of the data release (list of tuple).

        A detector that touches no patch with a template in its band has none.
        """
        visits, pairs = self.survey.visits, []
        for (visit, detector), patches in self.survey.patches.items():
            band = visits[visit]["band"]
            has_template = any((band, tract, patch) in self.template_patches for tract, patch in patches)
            if visits[visit]["use"] in IS_SCIENCE and has_template:
                pairs.append((visit, detector))
        return pairs

    def visit_summaries(self):
        """Return the summaries of all visits (list of str)."""
        return [self.path("visit_summary", visit=visit) for visit in self.survey.detectors]

    def dia_sources(self):
        """Return the DIA sources of the data release (list of str)."""
        return [self.path("dia_source", visit=v, detector=d) for v, d in self.science_pairs()]

    def diffs(self):
        """Return the difference images of the data release (list of str)."""
        return [self.path("diff", visit=v, detector=d) for v, d in self.science_pairs()]

    def objects(self):
        """Return all object tables (list of str)."""
        return [self.path("object", tract=t, patch=p) for t, p in self.object_patches]

    def deep_coadds(self):
        """Return all deep coadds (list of str)."""
        keys = sorted(self.patch_visits)
        return [self.path("coadd", kind=DEEP_KIND, band=b, tract=t, patch=p) for b, t, p in keys]

    def dia_objects(self):
        """Return all tables of DIA objects (list of str)."""
        return [self.path("dia_object", tract=tract) for tract in sorted(self.tract_sources)]

    def calib_ages(self):
        """Return how old the calibrations are when they are taken.

        Returns
        -------
        dict of str to float
            Longest time between the mean of the frames of ``epoch/kind/band`` and a visit that takes them [d]; none of
            those made from science frames.
        """
        ages = {}
        for visit, calibs in self.calibs.items():
            for kind, (epoch, band) in calibs.items():
                frames = self.epochs.frames(epoch, "dark" if kind == "defects" else kind, band)
                if frames:
                    mean = sum(self.survey.frames[frame]["mjd"] for frame in frames) / len(frames)
                    age = abs(self.survey.visits[visit]["mjd"] - mean)
                    name = f"{epoch}/{kind}/{band}"
                    ages[name] = max(age, ages.get(name, 0.0))
        return {name: round(age, 6) for name, age in sorted(ages.items())}

    def catalogues(self, name):
        """Return a product of every visit and detector (list of str).

        Parameters
        ----------
        name : str
            A key of `skyloom.workflow.paths.PATTERNS` with the wildcards visit and detector.
        """
        return [self.path(name, visit=v, detector=d) for v, d in self.survey.patches]

    def ap_pairs(self, wildcards):
        """Return (visit, detector) of the prompt differences of a visit (list of tuple).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: visit.

        Raises
        ------
        UnknownDataIdError
            If the survey has no such visit.
        """
        visit = self.visit_row(wildcards)["visit"]
        return [(visit, detector) for detector in self.survey.detectors.get(visit, ())]

    def ap_dia_sources(self, wildcards):
        """Return the prompt DIA sources of a visit's detectors, in the order of `ap_pairs` (list of str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Those of the job: visit.

        Raises
        ------
        UnknownDataIdError
            If the survey has no such visit.
        """
        return [self.path("ap_dia_source", visit=v, detector=d) for v, d in self.ap_pairs(wildcards)]
