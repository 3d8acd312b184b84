"""docs/sql-cookbook.md: every query runs, here and in the sandbox, and prints what it says there.

`PEEPS_TEST_WRITE_GOLDEN=1 pytest` writes the outputs anew.
"""

import os
import re
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import orjson
import pytest

from peepsd.cli import commands
from peepsd.store import questions, sandbox_worker
from peepsd.store.sandbox_views import Catalogue
from peepsd.store.schema import schema_sql
from tests.support.answers_db import write_story

PAGE = Path(__file__).parents[2] / "docs" / "sql-cookbook.md"
_QUERY = re.compile(
    r"(?P<sql>```sql\n(?P<text>.*?)```\n)(?P<out>\n```text\n(?P<shown>.*?)```\n)?", re.S
)


def queries() -> list[re.Match[str]]:
    return list(_QUERY.finditer(PAGE.read_text()))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_story(tmp_path_factory.mktemp("story") / "story.sqlite")


def printed(sql: str, story: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as exit_:
        commands.main(["sql", sql, "--db", str(story)])
    assert not exit_.value.code, capsys.readouterr().err
    return capsys.readouterr().out


def test_the_page_shows_what_is_printed(story: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if os.environ.get("PEEPS_TEST_WRITE_GOLDEN"):
        PAGE.write_text(
            _QUERY.sub(
                lambda m: f"{m['sql']}\n```text\n{printed(m['text'], story, capsys)}```\n",
                PAGE.read_text(),
            )
        )
    found = queries()
    assert len(found) >= 20
    for query in found:
        assert query["shown"] == printed(query["text"], story, capsys), query["text"]


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Executor]:
    """Another process: the sandbox's limit of SQLite's memory can never be raised again."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("number", range(len(queries())))
def test_strangers_may_ask_it_too(number: int, story: Path, elsewhere: Executor) -> None:
    """The rules of the sandbox allow each query; only the jail of its process is left out."""
    text = queries()[number]["text"]
    order = {
        "database": str(story),
        "catalogue": asdict(Catalogue.of_schema(schema_sql())),
        "sql": text,
        "params": [],
        "snapshot_id": None,
    }
    answer = elsewhere.submit(sandbox_worker.handle, orjson.dumps(order)).result(60)
    assert answer[:1] == b"+", answer
    here = questions.answer(str(story), "sql", {"sql": text})
    assert orjson.loads(answer[1:]) == orjson.loads(here)
