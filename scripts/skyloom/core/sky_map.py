"""Tracts and patches of a sky map, and which of them a detector may touch.

Nothing but NumPy is imported, because Snakemake asks these questions whenever it builds its graph.
"""

from dataclasses import dataclass

import numpy as np

from skyloom.core.directions import unit_vectors
from skyloom.core.errors import ConfigError
from skyloom.core.wcs import Wcs, tan_project

ARCSEC = 1.0 / 3600.0
CHUNK = 512
SETTINGS_OF_ALL_KINDS = ("kind", "pixel_scale", "patch_inner", "patch_border")


class UnknownTractError(ConfigError):
    """A tract or patch that the sky map does not have.

    Parameters
    ----------
    what : str
        What was asked for.
    known : str
        What there is.
    """

    def __init__(self, what, known):
        super().__init__(f"{what} is not in the sky map, which has {known}")
        self.what, self.known = what, known


@dataclass(frozen=True, slots=True)
class Patch:
    """A rectangle of a tract: the unit of coaddition.

    Attributes
    ----------
    tract : int
        Its tract.
    name : str
        ``x_y``, its column and row in the tract.
    index : int
        Running number in the tract, row by row.
    wcs : Wcs
        Plain TAN for the outer rectangle.
    shape : tuple of int
        (ny, nx) of the outer rectangle, border included.
    inner : tuple of int
        (x0, x1, y0, y1) of the inner region in the patch's pixels; inner regions tile the tract.
    origin : tuple of int
        The outer rectangle's first pixel (x, y) in the tract's pixels.
    """

    tract: int
    name: str
    index: int
    wcs: Wcs
    shape: tuple[int, int]
    inner: tuple[int, int, int, int]
    origin: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tract:
    """A piece of sky with a tangent plane of its own.

    Attributes
    ----------
    id : int
        Its number.
    ra, dec : float
        Tangent point [degree], the middle of the tract.
    n_patch : tuple of int
        Columns and rows of patches.
    pixel_scale : float
        [arcsec/pixel].
    patch_inner, patch_border : int
        Side of a patch's inner region and width of its border [pixel].
    """

    id: int
    ra: float
    dec: float
    n_patch: tuple[int, int]
    pixel_scale: float
    patch_inner: int
    patch_border: int

    @property
    def size(self):
        """Columns and rows of pixels of the tract (inner regions of all its patches)."""
        return self.n_patch[0] * self.patch_inner, self.n_patch[1] * self.patch_inner

    def wcs(self):
        """Wcs of the tract's pixels: North up, East left, (0, 0) the first inner pixel of patch 0_0."""
        nx, ny = self.size
        step = self.pixel_scale * ARCSEC
        centre = np.array([(nx - 1) / 2, (ny - 1) / 2])
        return Wcs(
            np.array([self.ra, self.dec]), centre, np.array([[-step, 0.0], [0.0, step]]), shape=(ny, nx)
        )

    def patch(self, name):
        """Return one patch.

        Parameters
        ----------
        name : str
            ``x_y``.

        Returns
        -------
        Patch
            The patch.

        Raises
        ------
        UnknownTractError
            If the tract has no such patch.
        """
        column, row = (int(part) for part in name.split("_"))
        if not (0 <= column < self.n_patch[0] and 0 <= row < self.n_patch[1]):
            raise UnknownTractError(
                f"patch {name} of tract {self.id}", f"{self.n_patch[0]} x {self.n_patch[1]} patches"
            )
        inner, border = self.patch_inner, self.patch_border
        origin = (column * inner - border, row * inner - border)
        side = inner + 2 * border
        wcs = self.wcs().shifted(*origin, shape=(side, side))
        index = row * self.n_patch[0] + column
        region = (border, border + inner, border, border + inner)
        return Patch(self.id, name, index, wcs, (side, side), region, origin)


class SkyMap:
    """Tracts of a survey and the questions that the workflow asks of them.

    Parameters
    ----------
    tracts : iterable of Tract
        All of them.
    meets_everything : bool
        True for the local map of a camera without usable pointing: each visit may meet each patch.
    """

    def __init__(self, tracts, meets_everything=False):
        self._tracts = {tract.id: tract for tract in tracts}
        self._ids = np.array(sorted(self._tracts))
        ordered = [self._tracts[i] for i in self._ids]
        self._ra = np.array([t.ra for t in ordered])
        self._dec = np.array([t.dec for t in ordered])
        self._vectors = unit_vectors(self._ra, self._dec)
        self._radius = np.array([_tract_radius(t) for t in ordered])
        self.meets_everything = meets_everything

    @property
    def tract_ids(self):
        """Numbers of all tracts, sorted (list of int)."""
        return [int(i) for i in self._ids]

    def tract(self, tract):
        """Return a tract by number.

        Parameters
        ----------
        tract : int
            Its number.

        Returns
        -------
        Tract
            The tract.

        Raises
        ------
        UnknownTractError
            If there is none.
        """
        tract = int(tract)
        if tract not in self._tracts:
            raise UnknownTractError(
                f"tract {tract}", f"{len(self._ids)} tracts, {self._ids[0]} to {self._ids[-1]}"
            )
        return self._tracts[tract]

    def patch(self, tract, name):
        """Return a patch by tract and name.

        Parameters
        ----------
        tract : int
            Tract number.
        name : str
            ``x_y``.

        Returns
        -------
        Patch
            The patch.
        """
        return self.tract(tract).patch(name)

    def patches(self, tract):
        """Names of a tract's patches in order of index (list of str).

        Parameters
        ----------
        tract : int
            Tract number.
        """
        nx, ny = self.tract(tract).n_patch
        return [f"{column}_{row}" for row in range(ny) for column in range(nx)]

    def overlaps(self, ra_corners, dec_corners, padding_arcsec):
        """Patches that convex quadrilaterals may touch.

        Parameters
        ----------
        ra_corners, dec_corners : ndarray, shape (n, 4)
            Corners in order around each quadrilateral [degree].
        padding_arcsec : array_like, shape (n,)
            By how much each may be displaced [arcsec].

        Returns
        -------
        list of list of (int, str)
            For each quadrilateral its (tract, patch) pairs, sorted.
        """
        n = len(ra_corners)
        if self.meets_everything:
            everything = [(t, p) for t in self.tract_ids for p in self.patches(t)]
            return [list(everything) for _ in range(n)]
        padding = np.broadcast_to(np.asarray(padding_arcsec, dtype=np.float64), (n,))
        found = [[] for _ in range(n)]
        for start in range(0, n, CHUNK):
            rows = slice(start, min(start + CHUNK, n))
            for position, members in self._candidates(ra_corners[rows], dec_corners[rows], padding[rows]):
                tract = self._tracts[int(self._ids[position])]
                index = np.flatnonzero(members) + start
                corners = ra_corners[index], dec_corners[index]
                _add_overlaps(found, tract, index, corners, padding[index] / tract.pixel_scale)
        return [sorted(pairs, key=lambda pair: (pair[0], _patch_key(pair[1]))) for pairs in found]

    def _candidates(self, ra, dec, padding):
        """Yield (position of a tract, which rows are near it)."""
        corners = unit_vectors(ra, dec)
        centre = corners.sum(axis=1)
        centre /= np.linalg.norm(centre, axis=-1, keepdims=True)
        reach = np.arccos(np.clip(np.einsum("nkc,nc->nk", corners, centre), -1, 1)).max(axis=1)
        reach += np.radians(padding * ARCSEC)
        separation = np.arccos(np.clip(centre @ self._vectors.T, -1, 1))
        near = separation <= reach[:, None] + self._radius[None, :]
        for position in np.flatnonzero(near.any(axis=0)):
            yield position, near[:, position]

    def inner_tract(self, ra, dec):
        """Tract whose inner region holds each position.

        Parameters
        ----------
        ra, dec : array_like, shape (n,)
            Positions [degree].

        Returns
        -------
        ndarray, shape (n,), int64
            Tract numbers; -1 where no tract covers the position. Among the tracts that cover it the one with
            the nearest centre is the inner one, so every position has exactly one.
        """
        ra, dec = np.atleast_1d(ra).astype(np.float64), np.atleast_1d(dec).astype(np.float64)
        result = np.full(ra.shape, -1, dtype=np.int64)
        for start in range(0, len(ra), CHUNK):
            rows = slice(start, start + CHUNK)
            separation = np.arccos(np.clip(unit_vectors(ra[rows], dec[rows]) @ self._vectors.T, -1, 1))
            best = np.full(separation.shape[0], np.inf)
            near = separation <= self._radius[None, :]
            for position in np.flatnonzero(near.any(axis=0)):
                members = np.flatnonzero(near[:, position])
                members = members[
                    self._covers(int(self._ids[position]), ra[rows][members], dec[rows][members])
                ]
                members = members[separation[members, position] < best[members]]
                best[members] = separation[members, position]
                result[start + members] = self._ids[position]
        return result

    def _covers(self, tract, ra, dec):
        """Return whether a tract's pixels hold positions (ndarray of bool)."""
        chosen = self._tracts[tract]
        x, y = chosen.wcs().sky_to_pixel(ra, dec)
        nx, ny = chosen.size
        with np.errstate(invalid="ignore"):
            return (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)

    def inner_patch(self, tract, ra, dec):
        """Patch of a tract whose inner region holds each position.

        Parameters
        ----------
        tract : int
            Tract number.
        ra, dec : array_like, shape (n,)
            Positions [degree].

        Returns
        -------
        ndarray, shape (n,), object
            Patch names; empty where the tract does not cover the position.
        """
        chosen = self.tract(tract)
        ra, dec = np.atleast_1d(ra), np.atleast_1d(dec)
        x, y = chosen.wcs().sky_to_pixel(ra, dec)
        inside = self._covers(int(tract), ra, dec)
        names = np.full(ra.shape, "", dtype=object)
        column = np.floor((x[inside] + 0.5) / chosen.patch_inner).astype(int)
        row = np.floor((y[inside] + 0.5) / chosen.patch_inner).astype(int)
        names[inside] = [f"{i}_{j}" for i, j in zip(column, row, strict=True)]
        return names


def _patch_key(name):
    """Sort patches by row, then column."""
    column, row = name.split("_")
    return int(row), int(column)


def _tract_radius(tract):
    """Angle from a tract's centre to the outer corner of its border [radian]."""
    nx, ny = tract.size
    border = tract.patch_border
    half = np.hypot(nx / 2 + border, ny / 2 + border) * tract.pixel_scale * ARCSEC
    return float(np.arctan(np.radians(half)))


def _add_overlaps(found, tract, index, corners, margin):
    """Append the patches of one tract to the rows that touch them, by separating axes."""
    x, y = (c.reshape(corners[0].shape) for c in tract.wcs().sky_to_pixel(*(c.ravel() for c in corners)))
    inner, border = tract.patch_inner, tract.patch_border
    for column in range(tract.n_patch[0]):
        x0, x1 = column * inner - border - 0.5, (column + 1) * inner + border - 0.5
        near_x = (x.max(axis=1) + margin > x0) & (x.min(axis=1) - margin < x1)
        if not near_x.any():
            continue
        for row in range(tract.n_patch[1]):
            y0, y1 = row * inner - border - 0.5, (row + 1) * inner + border - 0.5
            near = near_x & (y.max(axis=1) + margin > y0) & (y.min(axis=1) - margin < y1)
            touched = np.flatnonzero(near)
            if touched.size:
                touched = touched[~_edges_separate(x[touched], y[touched], margin[touched], (x0, x1, y0, y1))]
            for i in touched:
                found[index[i]].append((tract.id, f"{column}_{row}"))


def _edges_separate(x, y, margin, rectangle):
    """Return whether an edge of each quadrilateral, moved out by its margin, has the rectangle beyond it."""
    x0, x1, y0, y1 = rectangle
    corner_x, corner_y = np.array([x0, x1, x1, x0]), np.array([y0, y0, y1, y1])
    edge_x, edge_y = np.roll(x, -1, axis=1) - x, np.roll(y, -1, axis=1) - y
    area = np.sum(x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y, axis=1)
    sign = np.sign(area)[:, None]
    length = np.hypot(edge_x, edge_y)
    outward_x, outward_y = sign * edge_y / length, -sign * edge_x / length
    distance = outward_x[..., None] * (corner_x - x[..., None]) + outward_y[..., None] * (
        corner_y - y[..., None]
    )
    return np.any(distance.min(axis=2) > margin[:, None], axis=1)


def rings_tracts(n_ring, pixel_scale, patch_inner, patch_border, overlap_degree):
    """Tracts of a rings sky map: circles of constant declination cut into equal pieces, and two caps.

    Parameters
    ----------
    n_ring : int
        Rings between the caps.
    pixel_scale : float
        [arcsec/pixel].
    patch_inner, patch_border : int
        Side of a patch's inner region and width of its border [pixel].
    overlap_degree : float
        Least overlap of neighbouring tracts [degree].

    Returns
    -------
    list of Tract
        South cap first, then ring by ring northwards, each from right ascension 0 eastwards.
    """
    step = 180.0 / (n_ring + 1)
    patch_degree = patch_inner * pixel_scale * ARCSEC
    tracts = []

    def add(ra, dec, width, height):
        n_patch = tuple(int(np.ceil((side + overlap_degree) / patch_degree)) for side in (width, height))
        tracts.append(Tract(len(tracts), ra, dec, n_patch, pixel_scale, patch_inner, patch_border))

    add(0.0, -90.0, step, step)
    for ring in range(n_ring):
        dec = -90.0 + step * (ring + 1)
        widest = max(0.0, abs(dec) - step / 2)
        n_tract = max(3, int(np.ceil(360.0 * np.cos(np.radians(widest)) / step)))
        width = 360.0 / n_tract * np.cos(np.radians(widest))
        for number in range(n_tract):
            add(360.0 * number / n_tract, dec, _plane_width(360.0 / n_tract, widest, dec, width), step * 1.01)
    add(0.0, 90.0, step, step)
    return tracts


def _plane_width(delta_ra, widest, dec, width):
    """Width on the tangent plane of a piece of ring [degree]: meridians bulge away from the equator."""
    xi, _ = tan_project([delta_ra / 2], [np.copysign(widest, dec)], 0.0, dec)
    return max(width, 2 * float(xi[0]))


def needed_settings(settings, tract=None):
    """Return those settings of a sky map that its kind has a use for (dict).

    Parameters
    ----------
    settings : dict
        Section `sky_map`, as of `sky_map_from_settings`.
    tract : int, optional
        Where only this tract is asked for, the others of a declared list are left out.
    """
    own = ("n_ring", "overlap_degree") if settings["kind"] == "rings" else ("tracts",)
    needed = {name: settings[name] for name in (*SETTINGS_OF_ALL_KINDS, *own)}
    if tract is not None and "tracts" in needed:
        needed["tracts"] = [declared for declared in settings["tracts"] if declared["tract"] == tract]
    return needed


def sky_map_from_settings(settings):
    """Build the sky map that the configuration describes.

    Parameters
    ----------
    settings : dict
        Section `sky_map`: kind (rings, grid or local), pixel_scale, patch_inner, patch_border and, by kind,
        n_ring and overlap_degree, or tracts (list of tract, ra, dec, patches).

    Returns
    -------
    SkyMap
        The map.
    """
    common = (float(settings["pixel_scale"]), int(settings["patch_inner"]), int(settings["patch_border"]))
    kind = settings["kind"]
    if kind == "rings":
        tracts = rings_tracts(int(settings["n_ring"]), *common, float(settings["overlap_degree"]))
        return SkyMap(tracts)
    tracts = [
        Tract(int(t["tract"]), float(t["ra"]), float(t["dec"]), tuple(int(n) for n in t["patches"]), *common)
        for t in settings["tracts"]
    ]
    return SkyMap(tracts, meets_everything=kind == "local")
