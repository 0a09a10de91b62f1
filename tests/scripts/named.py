"""What Snakemake gives to a script, without Snakemake."""


class Named(list):
    """List with names, as Snakemake gives inputs and outputs."""

    def __init__(self, **named):
        super().__init__(named.values())
        self.__dict__.update(named)
        self._named = named

    def items(self):
        """Names and values."""
        return self._named.items()

    def get(self, name, default=None):
        """Value of a name."""
        return self._named.get(name, default)
