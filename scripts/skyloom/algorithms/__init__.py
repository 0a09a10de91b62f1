"""Algorithms that two stages or more use; arrays in, arrays out, no files."""
