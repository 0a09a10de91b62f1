"""Stage simulate: a sky, a site and a camera of known truth, written as an observatory writes them.

Nothing here shares code with the pipeline: own tangent plane, own focal plane, own flips, own point
spread function. What agrees afterwards agrees because both are right.
"""
