"""Random generators that depend on seed and data alone, never on the clock or the order of jobs."""

import hashlib

import numpy as np


def generator(seed, *data_id):
    """Make the generator of one piece of work.

    Parameters
    ----------
    seed : int
        The survey's seed.
    *data_id : str or int
        What the numbers are for, such as a rule's name, a visit and a detector.

    Returns
    -------
    numpy.random.Generator
        Independent streams for different arguments; the same stream for the same ones on every machine.
    """
    text = "/".join([str(int(seed)), *(str(part) for part in data_id)])
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(np.random.SeedSequence(list(np.frombuffer(digest, dtype="<u4").tolist())))
