"""calexps of one visit -> the visit on the pixels of a patch."""
