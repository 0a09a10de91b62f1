"""Comparison of two output roots: the same files with the same bytes, or what differs."""

from dataclasses import dataclass
from pathlib import Path

from skyloom.core.errors import ConfigError
from skyloom.workflow.paths import PATTERNS

# Times and messages differ from run to run by their nature.
NOT_PRODUCTS = ("logs", "benchmarks")
NOT_PRODUCT_FILES = (PATTERNS["page"], PATTERNS["machine"])
CHUNK_BYTES = 1 << 20


class NoSuchRootError(ConfigError):
    """An output root is not there or holds no product.

    Parameters
    ----------
    path : str
        The folder.
    """

    def __init__(self, path):
        super().__init__(f"{path} holds no products: name the output root of a run, such as results")
        self.path = path


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two output roots have in common.

    Attributes
    ----------
    n_equal : int
        Files with the same bytes.
    different : tuple of str
        Files whose bytes differ.
    only_first, only_second : tuple of str
        Files that the other root lacks.
    """

    n_equal: int
    different: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def is_alike(self):
        """Whether the roots hold the same files with the same bytes."""
        return not (self.different or self.only_first or self.only_second)

    def lines(self):
        """Return the lines that a person reads (list of str)."""
        named = [f"differs: {name}" for name in self.different] + lines_of_lacking(self)
        return [*named, f"{self.n_equal} equal, {len(named)} not"]


def lines_of_lacking(comparison):
    """Lines of what only one of two roots has (list of str).

    Parameters
    ----------
    comparison : object
        With `only_first` and `only_second`, tuples of str.
    """
    return [
        *(f"only in the first: {name}" for name in comparison.only_first),
        *(f"only in the second: {name}" for name in comparison.only_second),
    ]


def compare_roots(first, second):
    """Compare all products below two output roots.

    Parameters
    ----------
    first, second : str or Path
        Output roots.

    Returns
    -------
    Comparison
        What is equal and what is not; logs, benchmarks and the page and table that show them are left out.

    Raises
    ------
    NoSuchRootError
        If a root has no product.
    """
    first, second = Path(first), Path(second)
    names_first, names_second = _products(first), _products(second)
    common = sorted(names_first & names_second)
    different = tuple(name for name in common if not _same_bytes(first / name, second / name))
    return Comparison(
        len(common) - len(different),
        different,
        tuple(sorted(names_first - names_second)),
        tuple(sorted(names_second - names_first)),
    )


def _products(root):
    """Names of all product files below a root."""
    names = set()
    for path in root.rglob("*"):
        relative = path.relative_to(root)
        if (
            path.is_file()
            and relative.parts[0] not in NOT_PRODUCTS
            and relative.as_posix() not in NOT_PRODUCT_FILES
            and not path.name.startswith(".snakemake")
        ):
            names.add(relative.as_posix())
    if not names:
        raise NoSuchRootError(str(root))
    return names


def _same_bytes(first, second):
    """Whether two files hold the same bytes."""
    if first.stat().st_size != second.stat().st_size:
        return False
    with open(first, "rb") as one, open(second, "rb") as other:
        while chunk := one.read(CHUNK_BYTES):
            if chunk != other.read(CHUNK_BYTES):
                return False
    return True
