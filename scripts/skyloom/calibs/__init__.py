"""Combined calibrations: bias, dark, flat and defects."""
