"""Named errors: what people are told, and where the documentation explains it."""

import traceback

import pytest

from skyloom.core.errors import DataError, SkyloomError, UpstreamFailure, told


class DuskError(DataError):
    """An error of this test."""


def test_a_named_error_is_told_with_its_link_and_others_as_they_are():
    assert told(DuskError("too bright")) == "too bright\nSee docs/errors.md#dusk"
    assert told(OSError("no disk")) == "no disk"


def test_the_message_itself_holds_no_link():
    """Tombstones keep the message: products do not change with the documentation."""
    assert str(DuskError("too bright")) == "too bright"


def test_a_traceback_ends_with_the_link():
    with pytest.raises(SkyloomError) as caught:
        raise DuskError("too bright")

    assert "".join(traceback.format_exception(caught.value)).endswith("\nSee docs/errors.md#dusk\n")


def test_a_failure_upstream_links_its_first_cause():
    error = UpstreamFailure("results/src/1/0.parquet", "TooFewPsfStars", "3 stars")

    assert told(error).endswith("See docs/errors.md#toofewpsfstars")
