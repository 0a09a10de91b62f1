"""Skyloom: raw survey images to calibrated images, coadds, difference images and catalogues."""

__version__ = "0.1.0"
