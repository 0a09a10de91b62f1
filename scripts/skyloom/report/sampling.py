"""Some of many, at even steps, so that no part of a survey is left out."""

import numpy as np


def even_steps(items, number):
    """Items at even steps from the first to the last.

    Parameters
    ----------
    items : list or ndarray, length n
        In their order.
    number : int
        Most that are wanted.

    Returns
    -------
    list or ndarray
        At most `number` of them, each once, in their order; all where there are no more.
    """
    if len(items) <= number:
        return items
    chosen = np.linspace(0, len(items) - 1, number).astype(int)
    return items[chosen] if isinstance(items, np.ndarray) else [items[k] for k in chosen.tolist()]
