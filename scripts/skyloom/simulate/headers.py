"""The headers of raw frames, as an observatory's control system writes them."""

from datetime import datetime, timedelta

from skyloom.simulate.electronics import amplifier_bounds

PRIMARY = "PRIMARY"
MJD_ORIGIN = datetime(1858, 11, 17)
"""On the TAI scale, which has no zone."""
SECONDS_PER_DAY = 86400.0


def sky_headers(visit, detector, camera):
    """Headers of a raw frame of the sky.

    Parameters
    ----------
    visit : dict
        Row of the visit table: what was commanded.
    detector : Detector
        Names and sections; believed gains and read noise.
    camera : Camera
        Its name and the form of its raw files.

    Returns
    -------
    dict of str to dict
        Cards (value, comment) by extension name. MJD-OBS and DATE-OBS are the beginning of the exposure.
    """
    headers = _headers(visit, visit["exposure_name"], "science", (detector, camera))
    headers[PRIMARY] |= {
        "RADESYS": ("ICRS", "frame of RA, DEC"),
        "RA": (float(visit["ra"]), "[deg] commanded boresight"),
        "DEC": (float(visit["dec"]), "[deg] commanded boresight"),
        "ROTANG": (float(visit["rotation"]), "[deg] position angle of the focal plane's +y"),
        "AIRMASS": (float(visit["airmass"]), "at the middle of the exposure"),
    }
    return headers


def calibration_headers(frame, detector, camera):
    """Headers of a raw calibration frame.

    Parameters
    ----------
    frame : dict
        Row of the table of calibration frames.
    detector : Detector
        Names and sections; believed gains and read noise.
    camera : Camera
        Its name and the form of its raw files.

    Returns
    -------
    dict of str to dict
        Cards (value, comment) by extension name.
    """
    return _headers(frame, f"CAL-{frame['frame']:05d}", frame["kind"], (detector, camera))


def _headers(row, obsid, image_type, device):
    """Cards that every raw frame has."""
    detector, camera = device
    begin = row["mjd"] - 0.5 * row["exposure_time"] / SECONDS_PER_DAY
    headers = {
        PRIMARY: {
            "TELESCOP": ("SkySim", "telescope"),
            "INSTRUME": (camera.name, "camera"),
            "OBSID": (obsid, "name of the exposure"),
            "IMGTYPE": (image_type, "kind of frame"),
            "DETECTOR": (detector.id, "detector number"),
            "DETNAME": (detector.name, "detector name"),
            "FILTER": (row["band"], "filter in the beam"),
            "EXPTIME": (float(row["exposure_time"]), "[s] exposure time"),
            "TIMESYS": ("TAI", "time scale"),
            "MJD-OBS": (begin, "[d] beginning of the exposure"),
            "DATE-OBS": (
                (MJD_ORIGIN + timedelta(days=begin)).isoformat(timespec="milliseconds"),
                "beginning",
            ),
        }
    }
    for amplifier in detector.amplifiers:
        headers.setdefault(_plane_name(amplifier.extension, camera), {}).update(_amplifier_cards(amplifier))
    return headers


def named_planes(planes, camera):
    """Planes under the names that a raw file of the camera carries.

    Parameters
    ----------
    planes : dict of (int or str) to ndarray
        By extension, as the camera file names it.
    camera : Camera
        `raw.format` `single` puts the only plane into the primary unit.

    Returns
    -------
    dict of str to ndarray
        By name of the unit.
    """
    return {_plane_name(extension, camera): plane for extension, plane in planes.items()}


def _plane_name(extension, camera):
    """Name of the unit that carries the plane of an extension."""
    return PRIMARY if camera.raw.format == "single" else str(extension)


def _amplifier_cards(amplifier):
    """Cards of an amplifier's own extension."""
    x0, x1, y0, y1 = amplifier_bounds(amplifier)
    cards = {
        "AMPNAME": (amplifier.name, "amplifier"),
        "GAIN": (amplifier.gain, "[electron/adu] as measured in the laboratory"),
        "RDNOISE": (amplifier.read_noise, "[electron] as measured in the laboratory"),
        "DATASEC": (_fits_section(amplifier.data_section), "pixels that saw light"),
        "DETSEC": (_fits_section(amplifier.detector_section), "where they lie on the detector"),
        "AMPSEC": (_fits_section((x0, x1, y0, y1)), "all pixels of the amplifier"),
    }
    if amplifier.overscan_section is not None:
        cards["BIASSEC"] = (_fits_section(amplifier.overscan_section), "serial overscan")
    return cards


def _fits_section(section):
    """Section in the notation of FITS: from 1, ends included."""
    x0, x1, y0, y1 = section
    return f"[{x0 + 1}:{x1},{y0 + 1}:{y1}]"
