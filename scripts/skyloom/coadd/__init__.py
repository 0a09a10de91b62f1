"""Warps of a patch in one band -> one coadd with its PSF, mask and table of inputs."""
