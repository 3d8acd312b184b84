"""Places in source, as people are shown them."""

from pathlib import Path

import pytest

from peepsd.asking.source_text import is_library, short


@pytest.mark.parametrize(
    ("location", "expected", "library"),
    [
        ("/v/lib/python3.11/site-packages/trio/_core/_run.py:3", "trio/_core/_run.py:3", True),
        ("/usr/lib/python3/dist-packages/h11/_state.py:9", "h11/_state.py:9", True),
        ("/usr/lib/python3.12/asyncio/locks.py:114", "asyncio/locks.py:114", True),
        ("/srv/app/shop.py:31", "/srv/app/shop.py:31", False),
        (f"{Path.cwd()}/shop.py:31", "shop.py:31", False),
        (None, "", False),
    ],
)
def test_places_are_told_from_here_or_from_where_libraries_are(
    location: str | None, expected: str, library: bool
) -> None:
    assert (short(location), is_library(location)) == (expected, library)
