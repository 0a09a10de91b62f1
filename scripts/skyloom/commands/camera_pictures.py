"""Pictures of a camera file: detectors, amplifiers and read-out corners on the focal plane; a frame laid together."""

import io

import numpy as np

DPI = 120
SIDE_INCH = 9.0
LARGEST_SIDE = 1600
MAX_LABELLED_AMPLIFIERS = 40
GAP_SHADE = "0.35"
# Matplotlib's version would otherwise make equal pictures differ.
NO_METADATA = {"Software": None}


def draw_focal_plane(camera):
    """Picture of the focal plane.

    Parameters
    ----------
    camera : Camera
        Its detectors; each amplifier's dot is the corner that is read first, its line the way of the first row.

    Returns
    -------
    bytes
        PNG.
    """
    from matplotlib.collections import LineCollection, PolyCollection

    figure, axes = _figure()
    boxes, corners, first_rows = [], [], []
    n_amplifier = sum(len(detector.amplifiers) for detector in camera.detectors.values())
    for number, detector in camera.detectors.items():
        for amplifier in detector.amplifiers:
            x0, x1, y0, y1 = amplifier.detector_section
            box = _on_focal_plane(
                detector, np.array([x0, x1, x1, x0]) - 0.5, np.array([y0, y0, y1, y1]) - 0.5
            )
            boxes.append(box)
            start, end = _first_row(amplifier)
            row = _on_focal_plane(detector, *np.transpose([start, end]))
            corners.append(row[0])
            first_rows.append(row)
            if n_amplifier <= MAX_LABELLED_AMPLIFIERS:
                axes.text(
                    *box.mean(axis=0), amplifier.name, ha="center", va="center", fontsize=8, color="0.3"
                )
        ny, nx = detector.shape
        middle = _on_focal_plane(detector, np.array([(nx - 1) / 2]), np.array([0.56 * ny]))[0]
        label = f"{number}" if len(camera.detectors) > 20 else f"{number}: {detector.name}"
        axes.text(*middle, label, ha="center", va="bottom", fontsize=7, color="tab:blue")
    axes.add_collection(PolyCollection(boxes, facecolors="0.96", edgecolors="0.5", linewidths=0.6))
    axes.add_collection(LineCollection(first_rows, colors="tab:red", linewidths=1.0))
    axes.scatter(*np.transpose(corners), s=9, color="tab:red", zorder=3)
    axes.plot(0, 0, "+", color="black", markersize=10)
    axes.autoscale_view()
    axes.set_title(f"{camera.name}: red dots are the corners read first, lines run along the first row")
    return _png(figure)


def draw_mosaic(camera, images):
    """Picture of a frame as the camera file lays its detectors together.

    Parameters
    ----------
    camera : Camera
        Places and orientations (drawn to the nearest quarter turn).
    images : dict of int to ndarray, shape (ny, nx)
        Assembled detectors [electron].

    Returns
    -------
    bytes
        PNG, grey scale from the sky's noise.
    """
    corners = np.concatenate([_corners(camera.detectors[number]) for number in images])
    low, high = corners.min(axis=0), corners.max(axis=0)
    step = max(1, int(np.ceil((high - low).max() / LARGEST_SIDE)))
    figure, axes = _figure()
    sample = np.concatenate([image[:: 4 * step, :: 4 * step].ravel() for image in images.values()])
    sample = sample[np.isfinite(sample)]
    dark, bright = np.percentile(sample, [1, 99]) if sample.size else (0.0, 1.0)
    for number, image in images.items():
        detector = camera.detectors[number]
        outline = _corners(detector)
        left, bottom = outline.min(axis=0)
        right, top = outline.max(axis=0)
        pixels = np.rot90(image[::step, ::step], k=-round(detector.orientation / 90))
        axes.imshow(
            pixels,
            origin="lower",
            extent=(left, right, bottom, top),
            vmin=dark,
            vmax=max(bright, dark + 1e-6),
            cmap="gray",
            interpolation="nearest",
        )
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_facecolor(GAP_SHADE)
    axes.set_title(f"{camera.name}: raw frame above its overscan [electron], 1 to 99 percent")
    return _png(figure)


def _on_focal_plane(detector, x, y):
    """Focal-plane points, shape (n, 2), of detector pixels."""
    ny, nx = detector.shape
    angle = np.radians(detector.orientation)
    u, v = np.asarray(x) - (nx - 1) / 2, np.asarray(y) - (ny - 1) / 2
    fx = detector.centre[0] + u * np.cos(angle) - v * np.sin(angle)
    fy = detector.centre[1] + u * np.sin(angle) + v * np.cos(angle)
    return np.column_stack([fx, fy])


def _corners(detector):
    """Corners of a detector on the focal plane, shape (4, 2)."""
    ny, nx = detector.shape
    return _on_focal_plane(
        detector, np.array([-0.5, nx - 0.5, nx - 0.5, -0.5]), np.array([-0.5, -0.5, ny - 0.5, ny - 0.5])
    )


def _first_row(amplifier):
    """First pixel that is read, and one a third of the first row on, on the detector."""
    x0, x1, y0, y1 = amplifier.detector_section
    inset = 0.04 * min(x1 - x0, y1 - y0)
    x, direction = (x1 - 1 - inset, -1) if amplifier.flip_x else (x0 + inset, 1)
    y = y1 - 1 - inset if amplifier.flip_y else y0 + inset
    return (x, y), (x + direction * (x1 - x0) / 3, y)


def _figure():
    """Figure with square pixels and axes in focal-plane pixels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIDE_INCH, SIDE_INCH), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    axes.set_xlabel("focal plane x [pixel]")
    axes.set_ylabel("focal plane y [pixel]")
    return figure, axes


def _png(figure):
    """Bytes of a figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata=NO_METADATA, bbox_inches="tight")
    return buffer.getvalue()
