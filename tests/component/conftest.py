"""Fixtures of tests over files."""

from pathlib import Path

import pytest

from tests.support.answers_db import write_story


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one of each kind of hang."""
    return write_story(tmp_path_factory.mktemp("story") / "story.sqlite")
