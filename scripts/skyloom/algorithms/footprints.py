"""Connected regions above a threshold: their peaks, their labels, their growth."""

import numpy as np

from skyloom.algorithms.regions import number_regions
from skyloom.core.jit import kernel

# The lower half of a key.
INDEX_BITS = np.uint64(2**32 - 1)
# Bits of a float from which on it is negative.
NEGATIVE_BITS = np.uint32(2**31)


def flood_footprints(values, threshold, min_prominence, relative_prominence):
    """Peaks and connected regions of an image above a threshold.

    Parameters
    ----------
    values : ndarray, shape (ny, nx), float32
        Significance, for example; NaN is below every threshold. Fewer than 2^31 pixels.
    threshold : float
        Pixels above it belong to a footprint.
    min_prominence : float
        A peak counts when it rises this much above the highest saddle to a higher peak, in units of `values`.
    relative_prominence : float
        The same, as a fraction of the saddle's value: the structure of a bright object is no companion.

    Returns
    -------
    labels : ndarray, shape (ny, nx), int32
        0 outside, else 1 + index of the footprint (8-connected).
    peak_y, peak_x : ndarray, shape (n,), int64
        Pixels of the peaks, by falling value.
    footprint : ndarray, shape (n,), int32
        Index of the footprint that holds each peak.

    Notes
    -----
    Pixels are flooded by falling value (a component tree, e.g. Najman & Couprie 2006): where two components
    meet, the lower peak's prominence is known. One pass does what multi-threshold deblending does with many
    levels. Footprints are flooded one after the other, since those of the whole image, by value, are as far apart in
    memory as on the sky.
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    pixels, ends = _by_region_and_value(values, np.float32(threshold))
    labels = np.zeros(values.size, dtype=np.int32)
    parent, peaks = np.empty((2, len(pixels)), dtype=np.int32)
    is_peak = np.zeros(len(pixels), dtype=np.bool_)
    limits = np.array([min_prominence, relative_prominence], dtype=np.float64)
    n_component = _flood(values, pixels, limits, (labels, parent, peaks, is_peak))
    # Of each footprint, the highest peak has a prominence of its own and comes first.
    highest = values.ravel()[pixels[np.append(0, ends[:-1])]] if len(ends) else np.zeros(0)
    number = np.empty(len(ends), dtype=np.int32)
    number[np.argsort(-highest, kind="stable")] = np.arange(len(ends))
    _label_regions(pixels, ends, number, labels)
    peaks = peaks[:n_component][is_peak[:n_component]].astype(np.int64)
    peaks = peaks[np.lexsort((peaks, -values.ravel()[peaks]))]
    peak_y, peak_x = np.divmod(peaks, values.shape[1])
    return labels.reshape(values.shape), peak_y, peak_x, labels[peaks] - 1


def _by_region_and_value(values, threshold):
    """Pixels above a threshold, region by region and in each by falling value, and the end of each region.

    Equal values stay in their order. What is made on the way is gone before the planes are made that hold the result.
    """
    places = _places_above(values.ravel(), threshold)
    region = np.empty(len(places), dtype=np.int32)
    n_region = number_regions(places, values.shape[1], region)
    keys = _keys(values.view(np.uint32).ravel(), places)
    keys.sort()
    return _by_region(keys, (places, region), n_region)


@kernel
def _keys(bits, places):
    """Numbers that rise as the values with these bits fall; the lower half is the place's own number.

    The bits of positive floats have the order of their values: such integers are sorted several times as fast as an
    index of floats.
    """
    keys = np.empty(places.size, dtype=np.uint64)
    for i in range(places.size):
        own = bits[places[i]]
        height = own if own < NEGATIVE_BITS else np.uint32(0)
        keys[i] = ((INDEX_BITS - np.uint64(height)) << np.uint64(32)) | np.uint64(i)
    return keys


@kernel
def _places_above(values, threshold):
    """Indices of the values above a threshold, rising (ndarray, int32)."""
    n = 0
    for value in values:
        n += value > threshold
    # Each is written, and stays where its value is above: a branch would be guessed wrong.
    places = np.empty(n + 1, dtype=np.int32)
    n = 0
    for i in range(values.size):
        places[n] = i
        n += values[i] > threshold
    return places[:n]


@kernel
def _by_region(keys, pixels, n_region):
    """Pixels in the order of their keys within each region, one region after the other, and the end of each."""
    places, region = pixels
    ends = np.zeros(n_region, dtype=np.int64)
    for own in region:
        ends[own] += 1
    free = np.zeros(n_region, dtype=np.int64)
    for i in range(1, n_region):
        ends[i] += ends[i - 1]
        free[i] = ends[i - 1]
    grouped = np.empty_like(places)
    for key in keys:
        i = np.int64(key & INDEX_BITS)
        grouped[free[region[i]]] = places[i]
        free[region[i]] += 1
    return grouped, ends


@kernel
def _label_regions(pixels, ends, number, labels):
    """Give the pixels of each region 1 + its number."""
    first = 0
    for i in range(ends.size):
        for pixel in pixels[first : ends[i]]:
            labels[pixel] = 1 + number[i]
        first = ends[i]


def relabel_in_place(labels, new):
    """Replace labels by others.

    Parameters
    ----------
    labels : ndarray, shape (ny, nx) or flat, int32
        Indices into `new`; changed in place.
    new : ndarray, shape (n,)
        What stands for each.
    """
    _relabel(labels.reshape(-1), np.asarray(new, dtype=np.int32))


def grow_mask(mask, radius):
    """Mask grown by a disc.

    Parameters
    ----------
    mask : ndarray, shape (ny, nx), bool
        Pixels to grow.
    radius : float
        Radius of the disc [pixel]; pixels whose centre is within it become True.

    Returns
    -------
    ndarray, shape (ny, nx), bool
        The grown mask; the input is left alone.
    """
    grown = np.zeros(mask.shape, dtype=np.bool_)
    _paint_discs(mask, float(radius), grown)
    return grown


def grow_labels(labels, radii):
    """Mask of labelled regions, each grown by a disc of its own.

    Parameters
    ----------
    labels : ndarray, shape (ny, nx), int32
        0 outside the regions.
    radii : ndarray, shape (n + 1,), float64
        Radius by label [pixel]; a region with a negative one, and label 0, are left out.

    Returns
    -------
    ndarray, shape (ny, nx), bool
        True in the grown regions.
    """
    grown = np.zeros(labels.shape, dtype=np.bool_)
    _paint_labels(labels, np.asarray(radii, dtype=np.float64), grown)
    return grown


@kernel
def paint_discs_in_place(rows, columns, radius, plane):
    """Set all pixels within a radius of some.

    Parameters
    ----------
    rows, columns : ndarray, shape (n,), int64
        The pixels.
    radius : float
        [pixel].
    plane : ndarray, shape (ny, nx), bool
        Changed in place.
    """
    for i in range(rows.size):
        _paint_around(plane, (rows[i], columns[i], columns[i] + 1), radius)


@kernel
def regions_beyond(labels, inside):
    """Pixels of the labelled regions that reach out of a mask.

    Parameters
    ----------
    labels : ndarray, shape (ny, nx), int32
        0 outside the regions.
    inside : ndarray, shape (ny, nx), bool
        The mask.

    Returns
    -------
    ndarray, shape (ny, nx), bool
        True on all pixels of these regions.
    """
    ny, nx = labels.shape
    is_beyond = np.zeros(labels.max() + 1, dtype=np.bool_)
    for y in range(ny):
        for x in range(nx):
            if labels[y, x] and not inside[y, x]:
                is_beyond[labels[y, x]] = True
    found = np.zeros((ny, nx), dtype=np.bool_)
    for y in range(ny):
        for x in range(nx):
            found[y, x] = is_beyond[labels[y, x]]
    return found


@kernel
def _relabel(labels, new):
    """Replace labels by others; few pixels have one."""
    for i in range(labels.size):
        if labels[i]:
            labels[i] = new[labels[i]]


@kernel
def _paint_labels(labels, radii, grown):
    """Paint the regions on `grown`, run by run along their rows."""
    ny, nx = labels.shape
    for y in range(ny):
        x = 0
        while x < nx:
            first, label = x, labels[y, x]
            x += 1
            if label == 0:
                continue
            while x < nx and labels[y, x] == label:
                x += 1
            if radii[label] >= 0:
                _paint_around(grown, (y, first, x), radii[label])


@kernel
def _paint_around(grown, run, radius):
    """Paint all pixels within a radius of a run (row, first column, column behind the last) of pixels."""
    ny, nx = grown.shape
    y, first, end = run
    reach = int(radius)
    for row in range(max(y - reach, 0), min(y + reach + 1, ny)):
        half_width = int(np.sqrt(max(radius**2 - (row - y) ** 2, 0.0)))
        grown[row, max(first - half_width, 0) : min(end + half_width, nx)] = True


@kernel
def _flood(values, order, limits, forest):
    """Flood `values` in the given order; returns the number of components started.

    `forest`: 1 + component of each pixel (0 at first), then for each component its parent, its peak, and whether
    that is prominent.
    """
    component, parent, peaks, is_peak = forest
    ny, nx = values.shape
    n_component = 0
    for pixel in order:
        y, x = pixel // nx, pixel % nx
        level = values[y, x]
        own = -1
        for y_near in range(max(y - 1, 0), min(y + 2, ny)):
            for x_near in range(max(x - 1, 0), min(x + 2, nx)):
                root = component[y_near * nx + x_near] - 1
                if root < 0:
                    continue
                while parent[root] != root:
                    parent[root] = parent[parent[root]]
                    root = parent[root]
                if own < 0 or root == own:
                    own = root
                    continue
                higher, lower = min(own, root), max(own, root)
                top = values[peaks[lower] // nx, peaks[lower] % nx]
                if top - level < max(limits[0], limits[1] * level):
                    is_peak[lower] = False
                parent[lower] = higher
                own = higher
        if own < 0:
            own = n_component
            parent[own] = own
            peaks[own] = pixel
            is_peak[own] = True
            n_component += 1
        component[pixel] = own + 1
    return n_component


@kernel
def _paint_discs(mask, radius, grown):
    """Paint all pixels within a radius of a True one on `grown`, run by run along the rows."""
    ny, nx = mask.shape
    for y in range(ny):
        x = 0
        while x < nx:
            first = x
            x += 1
            if not mask[y, first]:
                continue
            while x < nx and mask[y, x]:
                x += 1
            _paint_around(grown, (y, first, x), radius)


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    values = np.zeros((4, 4), dtype=np.float32)
    values[1, 1] = 9.0
    labels, *_ = flood_footprints(values, 5.0, 1.0, 0.0)
    relabel_in_place(labels, np.arange(2))
    grow_mask(labels > 0, 1.0)
    grow_labels(labels, np.ones(2))
    near = labels < 0
    paint_discs_in_place(np.array([1]), np.array([1]), 1.0, near)
    regions_beyond(labels, near)
