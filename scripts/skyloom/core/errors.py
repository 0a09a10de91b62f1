"""The two families of named errors: this exposure is bad, or the configuration is."""

ERRORS_PAGE = "docs/errors.md"
"""Page of the clone, and of the documentation's site, that has a section for each named error."""


class SkyloomError(Exception):
    """Base of every error that Skyloom raises on purpose.

    The message of a subclass says what was found, what is needed and what to look at. A traceback ends with the
    link to the error's section of the documentation.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.add_note(f"See {self.link}")

    @property
    def link(self):
        """Where the documentation explains this error: page and anchor (str)."""
        return error_link(self.reason)

    @property
    def reason(self):
        """Class name without ``Error``: the word that the visit summary and the tombstones show."""
        return type(self).__name__.removesuffix("Error")


class DataError(SkyloomError):
    """An exposure cannot be used; its products become tombstones and the survey goes on.

    Attributes
    ----------
    status : str
        What the tombstones state: FAILED, or EMPTY where nothing is bad and there is nothing all the same.
    """

    status = "FAILED"


class ConfigError(SkyloomError):
    """The configuration or a table is wrong; nothing may start."""


class UpstreamFailure(DataError):  # noqa: N818 (the name says what happened, and is part of the file format)
    """An input is a tombstone: the stage before has already said why.

    Parameters
    ----------
    path : str
        The tombstone that was read.
    reason : str
        Reason of the original failure, kept so that the first cause stays visible.
    message : str
        Message of the original failure.
    status : str
        Status of the tombstone.
    """

    def __init__(self, path, reason, message, status="FAILED"):
        origin = message if "[first seen in " in message else f"{message} [first seen in {path}]"
        self.original_reason = reason
        super().__init__(origin)
        self.path, self.status = path, status
        self.original_message = message

    @property
    def reason(self):
        """Reason of the first failure upstream."""
        return self.original_reason


def error_link(reason):
    """Return the page and anchor that explain a reason (str).

    Parameters
    ----------
    reason : str
        `SkyloomError.reason`: an error's name without its ending.
    """
    return f"{ERRORS_PAGE}#{reason.lower()}"


def told(error):
    """Return an error's message as people are told it: with its link at the end (str).

    Parameters
    ----------
    error : Exception
        Any; one without a link of its own is told as it is.
    """
    return f"{error}\nSee {error.link}" if isinstance(error, SkyloomError) else str(error)


def worst_of(failures):
    """First of some failures that is one, and none of nothing being there.

    Parameters
    ----------
    failures : sequence of DataError
        At least one.

    Returns
    -------
    DataError
        The first with status FAILED, else the first.
    """
    return next((failure for failure in failures if failure.status == "FAILED"), failures[0])


class CorruptProductError(SkyloomError):
    """A product's bytes differ from what was written, or it is no product of Skyloom's at all.

    Neither the exposure nor the configuration is to blame, so the job fails loudly.

    Parameters
    ----------
    path : str
        The file.
    detail : str
        What does not fit.
    """

    def __init__(self, path, detail):
        super().__init__(f"{path}: {detail}; delete the file and let Snakemake make it again")
        self.path = path
        self.detail = detail


class ImageShapeError(SkyloomError):
    """Arrays that must cover the same pixels do not.

    Parameters
    ----------
    shapes : dict of str to tuple
        Shape of each array by name.
    """

    def __init__(self, shapes):
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        super().__init__(f"arrays of one image have different shapes: {listed}")
        self.shapes = shapes
