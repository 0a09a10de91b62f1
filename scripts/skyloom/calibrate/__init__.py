"""Single-visit calibration: from electrons to nJy on the sky, with the table of sources."""
