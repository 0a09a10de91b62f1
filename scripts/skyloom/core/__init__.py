"""What every stage shares: images, mask planes, PSF, WCS, sky maps, tables, errors."""
