"""A part of the demo survey, made once a session by the real Snakemake."""

import pytest
from part_survey import PartSurvey, run_survey, write_survey
from workflow_support import made_once

SEED = 4


@pytest.fixture(scope="session")
def part_survey(tmp_path_factory):
    """One band of the demo with another seed: four visits of two detectors, two tracts of two patches."""

    def make(folder):
        write_survey(folder, SEED)
        run_survey(folder)

    return PartSurvey(made_once(tmp_path_factory, "part-survey", make))
