"""A setting that needs a package which is not installed is told with what to install."""

import sys
from types import ModuleType

import pytest

from skyloom.workflow.config import InvalidConfigurationError
from skyloom.workflow.extras import check_extras

FILES = [("survey.yaml", {"calibrate": {"psf": {"model": "piff"}}})]


def settings_of(model):
    return {"calibrate": {"psf": {"model": model}}}


def test_piff_is_needed_where_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "piff", None)
    check_extras(settings_of("pixels"), FILES)
    with pytest.raises(
        InvalidConfigurationError, match="survey.yaml: calibrate.psf.model: is piff"
    ) as caught:
        check_extras(settings_of("piff"), FILES)
    assert "uv pip install -e '.[piff]'" in str(caught.value)


def test_piff_that_is_there_is_taken(monkeypatch):
    module = ModuleType("piff")
    module.__spec__ = sys.__spec__
    monkeypatch.setitem(sys.modules, "piff", module)
    check_extras(settings_of("piff"), FILES)
