"""What a simulated survey is made from: its settings, bands, seed and camera, handed around as one."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Simulation:
    """All that, with a row of a table, decides every byte of a simulated frame.

    Attributes
    ----------
    settings : dict
        Section `simulate` of the configuration, defaults filled in.
    bands : tuple of str
        Bands of the survey.
    seed : int
        The survey's seed.
    camera : Camera
        Layout of the camera as its file describes it: shapes, sections, flips, focal plane. Only these facts
        are used, never the pipeline's code for them. Gains and read noise are what the pipeline believes.
    """

    settings: dict
    bands: tuple
    seed: int
    camera: object = field(repr=False)
