"""Description of a product for a person: status, contents and origin."""

import json
from pathlib import Path


def describe_product(path):
    """Describe a product.

    Parameters
    ----------
    path : str or Path
        A FITS or Parquet file that Skyloom wrote; tombstones are described too.

    Returns
    -------
    list of str
        Lines of text.
    """
    return _describe_table(path) if Path(path).suffix == ".parquet" else _describe_fits(path)


def _describe_fits(path):
    """Lines about a FITS product."""
    from skyloom.io.fits_files import open_product, read_fits_status, read_provenance

    lines = _status_lines(path, read_fits_status(path))
    for hdu in open_product(path)[1:]:
        axes = " x ".join(str(n) for n in reversed(hdu.shape)) if hdu.is_image else f"{len(hdu.data)} rows"
        lines.append(f"  {hdu.name:20s} {axes}")
    return lines + _provenance_lines(json.loads(read_provenance(path).to_json()))


def _describe_table(path):
    """Lines about a Parquet product."""
    from skyloom.io.tables import PROVENANCE_KEY, read_table_metadata, read_table_status

    lines = _status_lines(path, read_table_status(path))
    table_schema, n_row, metadata = read_table_metadata(path)
    lines.append(f"  {n_row} rows")
    for field in table_schema:
        notes = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        unit = f" [{notes['unit']}]" if notes.get("unit") else ""
        lines.append(f"  {field.name}{unit}: {notes.get('description', '')}")
    return lines + _provenance_lines(json.loads(metadata[PROVENANCE_KEY]))


def _status_lines(path, status):
    """First lines: the name and whether the product is one."""
    word, reason, message = status
    return [f"{path}: {word}"] if word == "OK" else [f"{path}: {word}: {reason}: {message}"]


def _provenance_lines(provenance):
    """Last lines: what made the product."""
    return ["made by:", *(f"  {key}: {value}" for key, value in sorted(provenance.items()) if value)]
