"""Gain and read noise that a frame's own cards state, for cameras whose amplifiers are tuned now and then."""

import math
from dataclasses import replace

from skyloom.core.errors import DataError


class AmplifierCardError(DataError):
    """A frame lacks the card that its amplifier's gain or read noise is taken from.

    Parameters
    ----------
    amplifier, quantity, keyword : str
        The amplifier, gain or read_noise, and the card.
    found : object
        Its value; None when there is no such card.
    """

    def __init__(self, amplifier, quantity, keyword, found):
        what = "is missing" if found is None else f"is {found!r}"
        super().__init__(
            f"card {keyword} of amplifier {amplifier} {what}, its {quantity} needs a number above 0: "
            f"is it a frame of this camera, and {quantity}_keyword right in the camera file?"
        )
        self.amplifier, self.quantity, self.keyword, self.found = amplifier, quantity, keyword, found


def with_amplifier_cards(detector, cards, primary):
    """Detector whose amplifiers have the gain and read noise of a frame's cards, where they name one.

    Parameters
    ----------
    detector : Detector
        As the camera file describes it.
    cards : dict of (int or str) to dict
        Header of each HDU that an amplifier names.
    primary : dict
        The primary header, for cards that an amplifier's own one lacks.

    Returns
    -------
    Detector
        The same one when no amplifier names a card.

    Raises
    ------
    AmplifierCardError
        If a card is missing or no number above 0.
    """
    amplifiers = []
    for amplifier in detector.amplifiers:
        own = {**primary, **cards[amplifier.extension]}
        stated = {}
        for quantity in ("gain", "read_noise"):
            keyword = getattr(amplifier, f"{quantity}_keyword")
            if keyword is not None:
                stated[quantity] = _positive(amplifier.name, quantity, keyword, own.get(keyword))
        amplifiers.append(replace(amplifier, **stated) if stated else amplifier)
    return replace(detector, amplifiers=tuple(amplifiers))


def _positive(amplifier, quantity, keyword, value):
    """Value of an amplifier's card as a number above 0; numbers written as text count."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not (0 < number < math.inf):
        raise AmplifierCardError(amplifier, quantity, keyword, value)
    return number
