"""Each named error of data has one real input that raises it, and is told in one line."""

import importlib
import pkgutil

import pytest
from data_error_inputs import REAL_INPUTS, Bench

import skyloom
from skyloom.core.errors import DataError


def all_data_errors():
    """Named errors of data of the whole library, by the reason that a tombstone gives (dict of str to type)."""
    for module in pkgutil.walk_packages(skyloom.__path__, "skyloom."):
        importlib.import_module(module.name)
    found, families = {}, [DataError]
    while families:
        members = [c for c in families.pop().__subclasses__() if c.__module__.startswith("skyloom.")]
        found |= {member.__name__.removesuffix("Error"): member for member in members}
        families += members
    return found


ERRORS = all_data_errors()


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A good frame with all that its job needs."""
    return Bench(tmp_path_factory.mktemp("good"))


def test_each_named_error_of_data_has_a_real_input():
    assert set(REAL_INPUTS) == set(ERRORS)


@pytest.mark.parametrize("reason", sorted(REAL_INPUTS))
def test_a_real_input_ends_in_its_named_error(bench, tmp_path, reason):
    with pytest.raises(DataError) as caught:
        REAL_INPUTS[reason](bench.at(tmp_path))

    assert type(caught.value) is ERRORS[reason], caught.value
    assert str(caught.value).isprintable()


def test_the_frame_that_the_inputs_are_made_from_is_good(bench, tmp_path):
    bench.at(tmp_path).calibrate(bench.raw)
    assert (tmp_path / "calexp.fits").is_file()
