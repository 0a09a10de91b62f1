import numpy as np
import pytest

from skyloom.simulate.catalog import GALAXY, STAR, TRANSIENT
from skyloom.simulate.cells import CrowdedCellError, cell_centre, cells_near, identifiers, new_objects


def test_identifiers_differ_by_kind_cell_and_number_and_stay_exact_in_a_double():
    cells = [(0, 0), (1844, 2998), (1844, 2999), (3599, 7200)]
    names = np.concatenate([identifiers(k, c, 9000) for k in (STAR, GALAXY, TRANSIENT) for c in cells])
    assert len(set(names.tolist())) == 12 * 9000
    assert names.min() > 0
    assert identifiers(STAR, (3599, 7200), 1 << 20)[-1] < 1 << 52


def test_the_first_objects_of_a_cell_are_numbered_as_in_a_sparse_one():
    few, many = identifiers(GALAXY, (1844, 2998), 100), identifiers(GALAXY, (1844, 2998), 5000)
    assert np.array_equal(many[:100], few)
    assert few[0] == (((1844 << 13) + 2998) << 14) + (1 << 12) + 1


def test_a_density_beyond_the_identifiers_is_named():
    with pytest.raises(CrowdedCellError, match="objects of kind star in a cell"):
        new_objects(STAR, (1844, 2998), 1e7, ("r",), np.random.default_rng(1))


@pytest.mark.parametrize(("ra", "dec"), [(0.01, -60.0), (150.0, 2.2), (359.9, 80.0)])
def test_a_cell_lies_about_its_centre(ra, dec):
    centres = np.array([cell_centre(cell) for cell in cells_near(ra, dec, 0.1)])
    east, north = (centres[:, 0] - ra) * np.cos(np.radians(dec)), centres[:, 1] - dec
    assert np.any((np.abs(east) < 0.026) & (np.abs(north) < 0.0251))
