"""Exposures as FITS: image, mask and variance with a standard WCS, and the models that belong to them."""

from dataclasses import fields, replace

import numpy as np
from astropy.io import fits

from skyloom.core import mask_planes
from skyloom.core.images import Background, DifferenceImage, Exposure, ExposureInfo, MaskedImage
from skyloom.core.kernels import MatchingKernel
from skyloom.core.photo_calib import FieldPolynomial, ZeroPointFit
from skyloom.core.psf import CellPsf, PixelPsf
from skyloom.core.visit_sky import subtract_visit_sky_in_place
from skyloom.core.wcs import Wcs, WcsFit, order_of, tpv_powers
from skyloom.io.fits_files import image_hdu, mask_hdu, plane_of, read_fits_with_bytes, table_hdu, write_fits
from skyloom.io.psf_colour_cards import colour_cards, colour_of_cards

INFO_CARDS = {
    "visit": ("VISIT", "visit number, -1 for a coadd"),
    "detector": ("DETECTOR", "detector number, -1 for a coadd"),
    "band": ("BAND", "band"),
    "mjd": ("MJD-AVG", "[d] mid-exposure, TAI"),
    "exposure_time": ("EXPTIME", "[s] open-shutter time"),
    "airmass": ("AIRMASS", "at mid-exposure"),
    "ra": ("BORERA", "[deg] commanded boresight"),
    "dec": ("BOREDEC", "[deg] commanded boresight"),
    "rotation": ("ROTPA", "[deg] position angle of focal plane +y"),
    "pointing_uncertainty": ("PNTUNC", "[arcsec] of the commanded boresight"),
    "gain": ("GAINAVG", "[electron/adu] mean over amplifiers"),
    "read_noise": ("RDNOISE", "[electron] mean over amplifiers"),
    "camera": ("CAMERA", "camera"),
    "tract": ("TRACT", "tract, -1 for none"),
    "patch": ("PATCH", "patch"),
    "kind": ("KIND", "kind of coadd"),
}
DOMAIN_CARDS = ("DOMX0", "DOMX1", "DOMY0", "DOMY1")


def write_exposure(path, exposure, provenance, cards=None):
    """Write an exposure.

    Parameters
    ----------
    path : str or Path
        Final name.
    exposure : Exposure
        Pixels in nJy, with a WCS.
    provenance : Provenance
        What made it.
    cards : dict of str to (value, str), optional
        More cards for the primary header.
    """
    write_fits(path, _primary_cards(exposure) | (cards or {}), _exposure_hdus(exposure), provenance)


def write_difference(path, difference, provenance, cards=None):
    """Write a difference image with its template and matching kernel.

    Parameters
    ----------
    path : str or Path
        Final name.
    difference : DifferenceImage
        What was made.
    provenance : Provenance
        What made it.
    cards : dict of str to (value, str), optional
        More cards for the primary header.
    """
    hdus = _exposure_hdus(difference.exposure)
    wcs_cards = header_from_wcs(difference.exposure.wcs)
    hdus.append(image_hdu("TEMPLATE", difference.template.astype(np.float32), wcs_cards))
    hdus[-1].header["BUNIT"] = "nJy"
    hdus += _kernel_hdus(difference.kernel)
    write_fits(path, _primary_cards(difference.exposure) | (cards or {}), hdus, provenance)


def _primary_cards(exposure):
    """Cards of the primary header: identity and circumstances."""
    info = exposure.info
    cards = {key: (getattr(info, name), comment) for name, (key, comment) in INFO_CARDS.items()}
    cards["ORIGX"] = (info.origin[0], "[pixel] first column in the patch")
    cards["ORIGY"] = (info.origin[1], "[pixel] first row in the patch")
    cards["TIMESYS"] = ("TAI", "time scale")
    cards["NCORR"] = (exposure.noise_correlation, "noise power at zero frequency / pixel variance")
    if np.isfinite(exposure.detection_threshold):
        cards["DETSIGMA"] = (exposure.detection_threshold, "[sigma] mean threshold of detection")
    return cards


def _exposure_hdus(exposure):
    """Extensions of an exposure, those that it has."""
    wcs_cards = header_from_wcs(exposure.wcs)
    pixels = exposure.pixels
    planes = {f"MP_{name}": (bit, "") for bit, name in enumerate(mask_planes.PLANES)}
    hdus = [
        image_hdu("IMAGE", pixels.image, wcs_cards | {"BUNIT": ("nJy", "")}),
        mask_hdu("MASK", pixels.mask, wcs_cards | _hierarch(planes)),
        image_hdu("VARIANCE", pixels.variance, wcs_cards | {"BUNIT": ("nJy2", "")}),
    ]
    if exposure.psf is not None:
        hdus.append(_psf_hdu(exposure.psf))
    if exposure.photo_calib is not None:
        fit = exposure.zero_point_fit
        hdus += _field_hdus("ZEROPOINT", exposure.photo_calib, {} if fit is None else _zero_point_cards(fit))
    if exposure.ap_corr is not None:
        hdus += _field_hdus("APCORR", exposure.ap_corr)
    if exposure.background is not None:
        background = exposure.background
        cards = {
            "BINSIZE": (background.bin_size, "[pixel] side of a bin"),
            "BACKNX": (background.shape[1], "[pixel] columns of the image"),
            "BACKNY": (background.shape[0], "[pixel] rows of the image"),
            "BUNIT": ("nJy", ""),
        }
        hdus.append(image_hdu("BACKGROUND", background.mesh.astype(np.float32), cards))
    if exposure.wcs_fit is not None:
        hdus += _wcs_fit_hdus(exposure.wcs_fit)
    if exposure.inputs is not None:
        hdus.append(_table_hdu("INPUTS", exposure.inputs))
    return hdus


def _hierarch(cards):
    """Name keywords of more than eight characters the way FITS allows."""
    return {key if len(key) <= 8 else f"HIERARCH {key}": value for key, value in cards.items()}


def header_from_wcs(wcs):
    """Cards of a WCS: plain TAN, or TPV with a polynomial.

    Parameters
    ----------
    wcs : Wcs
        The WCS.

    Returns
    -------
    dict of str to (value, str)
        Standard cards; PVi_1 is always present in TPV, as its default differs between readers.
    """
    distorted = wcs.pv1 is not None
    kind = "TPV" if distorted else "TAN"
    cards = {
        "WCSAXES": (2, ""),
        "RADESYS": ("ICRS", ""),
        "CTYPE1": (f"RA---{kind}", ""),
        "CTYPE2": (f"DEC--{kind}", ""),
        "CUNIT1": ("deg", ""),
        "CUNIT2": ("deg", ""),
    }
    for axis in (0, 1):
        cards[f"CRVAL{axis + 1}"] = (float(wcs.crval[axis]), "")
        cards[f"CRPIX{axis + 1}"] = (float(wcs.crpix[axis]) + 1.0, "")
        for other in (0, 1):
            cards[f"CD{axis + 1}_{other + 1}"] = (float(wcs.cd[axis, other]), "")
    if distorted:
        numbers = tpv_powers(order_of(len(wcs.pv1)))[0]
        for axis, coefficients in ((1, wcs.pv1), (2, wcs.pv2)):
            for number, value in zip(numbers, coefficients, strict=True):
                cards[f"PV{axis}_{number}"] = (float(value), "")
    return cards


def wcs_from_header(header, shape):
    """Inverse of `header_from_wcs`.

    Parameters
    ----------
    header : astropy.io.fits.Header or dict
        Cards that `header_from_wcs` wrote.
    shape : tuple of int
        Shape (ny, nx) of the image.

    Returns
    -------
    Wcs
        The WCS.
    """
    crval = np.array([header["CRVAL1"], header["CRVAL2"]], dtype=np.float64)
    crpix = np.array([header["CRPIX1"], header["CRPIX2"]], dtype=np.float64) - 1.0
    cd = np.array([[header["CD1_1"], header["CD1_2"]], [header["CD2_1"], header["CD2_2"]]], dtype=np.float64)
    if header["CTYPE1"].endswith("TAN"):
        return Wcs(crval, crpix, cd, shape=tuple(shape))
    n_term = sum(1 for key in header if key.startswith("PV1_"))
    numbers = tpv_powers(order_of(n_term))[0]
    pv1, pv2 = (np.array([header[f"PV{axis}_{n}"] for n in numbers], dtype=np.float64) for axis in (1, 2))
    return Wcs(crval, crpix, cd, pv1, pv2, tuple(shape))


def _domain_cards(domain):
    """Cards of a domain."""
    return {key: (float(value), "[pixel]") for key, value in zip(DOMAIN_CARDS, domain, strict=True)}


def _domain(header):
    """Domain from its cards."""
    return tuple(float(header[key]) for key in DOMAIN_CARDS)


def _psf_hdu(psf):
    """Extension of a PSF model."""
    if isinstance(psf, CellPsf):
        cards = {
            "PSFTYPE": ("CELL", "one image a cell, axes 3 and 4"),
            "CELLSIZE": (psf.cell_size, "[pixel] side of a cell"),
            "CELLX0": (float(psf.origin[0]), "[pixel] first cell's first column"),
            "CELLY0": (float(psf.origin[1]), "[pixel] first cell's first row"),
        }
        return image_hdu("PSF", psf.images.astype(np.float32), cards)
    cards = {
        "PSFTYPE": ("POLYNOMIAL", "image of each term 1 u v u2 uv v2 ..., axis 3"),
        "PSFORDER": (psf.order, "total degree"),
        "SAMPLING": (float(psf.sampling), "pixels of the PSF image per pixel"),
        "PSFCENTR": (psf.coefficients.shape[-1] // 2, "[pixel] centre, counted from 0"),
    }
    images = (
        np.concatenate([psf.coefficients, psf.colour.image[None]]) if psf.has_colour else psf.coefficients
    )
    cards |= _domain_cards(psf.domain) | colour_cards(psf.colour)
    return image_hdu("PSF", images.astype(np.float32), cards)


def _read_psf(hdu):
    """PSF model of its extension."""
    header = hdu.header
    if header["PSFTYPE"] == "CELL":
        origin = (header["CELLX0"], header["CELLY0"])
        return CellPsf(np.ascontiguousarray(hdu.data, np.float32), header["CELLSIZE"], origin)
    images, order = np.ascontiguousarray(hdu.data, np.float32), header["PSFORDER"]
    n_term = (order + 1) * (order + 2) // 2
    colour = colour_of_cards(header, images[n_term:])
    return PixelPsf(images[:n_term], order, _domain(header), int(header["SAMPLING"]), colour)


def _field_hdus(name, function, more_cards=None):
    """Extensions of a field polynomial: coefficients, and the covariance where there is one."""
    cards = {"POLYTYPE": ("CHEBYSHEV", "coefficient [i, j] of T_i(v) T_j(u)")} | (more_cards or {})
    cards |= _domain_cards(function.domain)
    hdus = [image_hdu(name, function.coefficients.astype(np.float64), cards)]
    if function.covariance is not None:
        hdus.append(image_hdu(f"{name}_COV", function.covariance.astype(np.float64)))
    return hdus


def _read_field(hdus, name):
    """Field polynomial of its extensions, or None."""
    if name not in hdus:
        return None
    hdu = hdus[name]
    covariance = np.ascontiguousarray(hdus[f"{name}_COV"].data, np.float64) if f"{name}_COV" in hdus else None
    return FieldPolynomial(np.ascontiguousarray(hdu.data, np.float64), _domain(hdu.header), covariance)


def _wcs_fit_hdus(fit):
    """Extensions of a WCS fit."""
    cards = {
        "NMATCH": (fit.n_matched, "stars used"),
        "RMSX": (fit.rms_x_arcsec, "[arcsec] scatter East"),
        "RMSY": (fit.rms_y_arcsec, "[arcsec] scatter North"),
        "CORNERR": (fit.corner_error_arcsec, "[arcsec] predicted error at the worst corner"),
        "HDRERR": (fit.header_error_arcsec, "[arcsec] largest error of the header's WCS"),
        "LOGCHANC": (fit.log10_false_alarm, "log10 of the probability of a chance match"),
    }
    return [
        image_hdu("WCSFIT", fit.coefficients.astype(np.float64), cards),
        image_hdu("WCSFIT_COV", fit.covariance.astype(np.float64)),
    ]


def _read_wcs_fit(hdus):
    """WCS fit of its extensions, or None."""
    if "WCSFIT" not in hdus:
        return None
    header = hdus["WCSFIT"].header
    return WcsFit(
        np.ascontiguousarray(hdus["WCSFIT"].data, np.float64),
        np.ascontiguousarray(hdus["WCSFIT_COV"].data, np.float64),
        header["NMATCH"],
        header["RMSX"],
        header["RMSY"],
        header["CORNERR"],
        header["HDRERR"],
        header["LOGCHANC"],
    )


def _zero_point_cards(fit):
    """Cards of the quality of a zero point; a variation that nobody knows has none."""
    cards = {
        "NSTAR": (fit.n_star, "stars used"),
        "SCATTER": (fit.scatter_mag, "[mag] scatter of the stars"),
        "MAXVAR": (fit.max_variation_mag, "[mag] range over the detector that is expected"),
    }
    if np.isfinite(fit.variation_mag):
        cards["VARIATN"] = (fit.variation_mag, "[mag] range over the detector")
    return cards


def _read_zero_point_fit(hdus):
    """Quality of a zero point that was fitted, or None."""
    if "ZEROPOINT" not in hdus or "NSTAR" not in hdus["ZEROPOINT"].header:
        return None
    header = hdus["ZEROPOINT"].header
    return ZeroPointFit(
        header["NSTAR"], header["SCATTER"], float(header.get("VARIATN", np.nan)), header["MAXVAR"]
    )


def _table_hdu(name, table):
    """Binary table of an Arrow table of numbers and text."""
    columns = []
    for index, field in enumerate(table.schema):
        values = table.column(index).to_numpy()
        unit = (field.metadata or {}).get(b"unit", b"").decode()
        if values.dtype.kind == "O":
            texts = np.array([str(v) for v in values])
            columns.append(fits.Column(field.name, f"{max(1, texts.dtype.itemsize // 4)}A", array=texts))
            continue
        code = {"i8": "K", "i4": "J", "f8": "D", "f4": "E", "b1": "L"}[values.dtype.str[1:]]
        columns.append(fits.Column(field.name, code, unit=unit or None, array=values))
    return table_hdu(name, columns)


def _read_inputs(hdus):
    """Arrow table of a coadd's inputs, or None."""
    if "INPUTS" not in hdus:
        return None
    from skyloom.core.schemas import COADD_INPUT

    data = hdus["INPUTS"].data
    values = {}
    for column in COADD_INPUT.columns:
        array = data[column.name]
        is_text = column.type == "string"
        values[column.name] = (
            [str(v) for v in array] if is_text else array.astype(array.dtype.newbyteorder("="))
        )
    return COADD_INPUT.table(values)


def _kernel_hdus(kernel):
    """Extensions of a matching kernel: coefficients, basis and differential background."""
    cards = {
        "MATCHDIR": (kernel.convolved, "image that was convolved"),
        "KERORDER": (kernel.order, "total degree of the weights"),
    } | _domain_cards(kernel.domain)
    hdus = [
        image_hdu("KERNEL", kernel.coefficients.astype(np.float64), cards),
        image_hdu("KERNEL_BASIS", kernel.basis.astype(np.float64)),
    ]
    if kernel.background is not None:
        hdus += _field_hdus("KERNEL_BACKGROUND", kernel.background)
    return hdus


def read_exposure(path, visit_sky=None):
    """Read an exposure; nothing but this file is looked at.

    Parameters
    ----------
    path : str or Path
        A calexp, warp, coadd or difference.
    visit_sky : VisitSky, optional
        Sky of a calexp's visit, to be subtracted in place of the calexp's own.

    Returns
    -------
    Exposure
        With every model that the file holds.

    Raises
    ------
    UpstreamFailure
        If the file is a tombstone.
    CorruptProductError
        If a byte was changed.
    ForeignVisitSkyError
        If the sky was not made from this calexp.
    """
    exposure = _exposure_of(*read_fits_with_bytes(path))
    return exposure if visit_sky is None else subtract_visit_sky_in_place(exposure, visit_sky)


def read_difference(path):
    """Read a difference image.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    DifferenceImage
        With template and kernel.
    """
    hdus, data = read_fits_with_bytes(path)
    header = hdus["KERNEL"].header
    kernel = MatchingKernel(
        np.ascontiguousarray(hdus["KERNEL_BASIS"].data, np.float64),
        header["KERORDER"],
        _domain(header),
        np.ascontiguousarray(hdus["KERNEL"].data, np.float64),
        header["MATCHDIR"],
        _read_field(hdus, "KERNEL_BACKGROUND"),
    )
    template = plane_of(hdus["TEMPLATE"], data, np.float32)
    return DifferenceImage(_exposure_of(hdus, data), template, kernel)


def _exposure_of(hdus, data):
    """Exposure of an open product and its bytes."""
    pixels = MaskedImage(
        plane_of(hdus["IMAGE"], data, np.float32),
        np.ascontiguousarray(hdus["MASK"].data, np.int32).view(np.uint32),
        plane_of(hdus["VARIANCE"], data, np.float32),
    )
    background = None
    if "BACKGROUND" in hdus:
        hdu = hdus["BACKGROUND"]
        shape = (hdu.header["BACKNY"], hdu.header["BACKNX"])
        background = Background(np.ascontiguousarray(hdu.data, np.float32), hdu.header["BINSIZE"], shape)
    return Exposure(
        pixels,
        info=_read_info(hdus[0].header),
        wcs=wcs_from_header(hdus["IMAGE"].header, pixels.shape),
        psf=_read_psf(hdus["PSF"]) if "PSF" in hdus else None,
        photo_calib=_read_field(hdus, "ZEROPOINT"),
        background=background,
        ap_corr=_read_field(hdus, "APCORR"),
        wcs_fit=_read_wcs_fit(hdus),
        zero_point_fit=_read_zero_point_fit(hdus),
        inputs=_read_inputs(hdus),
        noise_correlation=float(hdus[0].header["NCORR"]),
        detection_threshold=float(hdus[0].header.get("DETSIGMA", "nan")),
    )


def _read_info(header):
    """Exposure information of a primary header, each value in its field's own type."""
    kinds = {f.name: type(getattr(ExposureInfo(), f.name)) for f in fields(ExposureInfo)}
    values = {name: kinds[name](header[key]) for name, (key, _) in INFO_CARDS.items()}
    return replace(ExposureInfo(**values), origin=(int(header["ORIGX"]), int(header["ORIGY"])))
