"""The command line of the tools that write a camera file from published geometry."""

import argparse
from pathlib import Path


def write_camera_file(tool, content, default, arguments=None):
    """Write a camera file where the command line says.

    Parameters
    ----------
    tool : str
        The tool's docstring, of which the first line is shown.
    content : tuple of (str, int)
        The file's content, and how many detectors it has.
    default : Path
        The committed file, written without ``--output``.
    arguments : list of str, optional
        Command line; the process's own without it.
    """
    text, n_detector = content
    parser = argparse.ArgumentParser(description=tool.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=default, help="the camera file to write")
    output = parser.parse_args(arguments).output
    output.write_text(text, encoding="utf-8")
    print(f"{n_detector} detectors in {output}")
