"""Snakemake of an environment without the science, with the stand-in as its conda."""

from pathlib import Path

import conda_stand_in
from workflow_support import HOME, Snakemake


class CondaSnakemake(Snakemake):
    """Snakemake of an environment without the science, with the stand-in as its conda.

    Parameters
    ----------
    folder : Path
        Working folder.
    machine : Path
        Folder of the stand-in, of Snakemake's environment and of the rules' ones.
    home : Path
        Folder of the Snakefile.
    """

    def __init__(self, folder, machine, home=HOME):
        super().__init__(folder, home)
        self.machine = machine

    def command(self, *arguments, **options):
        """Return the command line (list of str), jobs in their environments."""
        _, *words = super().command(*arguments, "--sdm", "conda", "--conda-prefix", self.prefix, **options)
        return [str(self.machine / "head" / "bin" / "python"), *words]

    def environment(self):
        """Return the environment of the user's shell (dict), the stand-in first on PATH."""
        return super().environment() | conda_stand_in.variables(self.machine / "conda")

    @property
    def prefix(self):
        """Folder of the rules' environments (str)."""
        return str(self.machine / "environments")

    def environments(self):
        """Return the made environments: packages of the yaml -> folder (dict of tuple to Path)."""
        return {
            tuple(conda_stand_in.requirements_of(path)): path.with_suffix("")
            for path in Path(self.prefix).glob("*.yaml")
        }
