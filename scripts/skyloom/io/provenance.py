"""Where a product comes from, in a form that is the same for the same work."""

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made a product; no time of day and no absolute path.

    Attributes
    ----------
    rule : str
        Name of the rule.
    wildcards : dict
        Its wildcards.
    version : str
        Skyloom's version.
    commit : str
        Git commit; empty outside a clone.
    settings_hash : str
        Hash of the rule's own settings.
    code : str
        Fingerprint of the script and the library below it.
    inputs : tuple of str
        Input files, relative to the output root where they lie in it.
    packages : dict
        Versions of the packages that make numbers.
    """

    rule: str = ""
    wildcards: dict = field(default_factory=dict)
    version: str = ""
    commit: str = ""
    settings_hash: str = ""
    code: str = ""
    inputs: tuple[str, ...] = ()
    packages: dict = field(default_factory=dict)

    def to_json(self):
        """Return canonical JSON text (str)."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def provenance_from_json(text):
    """Inverse of `Provenance.to_json`.

    Parameters
    ----------
    text : str
        JSON text.

    Returns
    -------
    Provenance
        The record.
    """
    values = json.loads(text)
    values["inputs"] = tuple(values["inputs"])
    return Provenance(**values)
