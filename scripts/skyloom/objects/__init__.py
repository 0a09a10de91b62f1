"""Coadds of all bands of a patch -> one table of objects, measured at the same positions in every band."""
