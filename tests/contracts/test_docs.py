"""What the documents say about settings, events, tables and metrics is what the code does."""

import re
from pathlib import Path

import pytest

from peepsd.config import AGENT_VARIABLES, SETTINGS
from peepsd.http.metrics import METRICS
from peepsd.store.schema import schema_sql

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def read(name: str) -> str:
    return (DOCS / name).read_text()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.field)
def test_every_setting_is_documented_with_its_default(setting) -> None:  # type: ignore[no-untyped-def]
    row = f"| {setting.variable} | {setting.default} | {setting.help} |"
    assert row in read("operations.md")


@pytest.mark.parametrize("variable", [*AGENT_VARIABLES])
def test_every_variable_of_agent_and_client_is_documented(variable: str) -> None:
    assert f"| {variable} |" in read("operations.md")


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {s.variable for s in SETTINGS} | set(AGENT_VARIABLES)
    for path in [*DOCS.glob("*.md"), ROOT / "README.md"]:
        named = set(re.findall(r"\bPEEPS_[A-Z_]+[A-Z]\b", path.read_text()))
        assert named <= known, f"{path.name}: {sorted(named - known)}"


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_documented(metric: str) -> None:
    assert f"| peepsd_{metric} | {METRICS[metric][1]} |" in read("operations.md")


def test_every_event_kind_in_the_code_is_documented() -> None:
    text = read("protocol.md")
    code = "".join(p.read_text() for p in (ROOT / "daemon/peepsd").rglob("*.py"))
    kinds = set(
        re.findall(
            r"(?:of_peer\(\s*(?:self\.)?peer,\s*|of_stranger\([^,]+,\s*|problems\.add\("
            r'|self\._cut\([^,()]*(?:\([^()]*\))?[^,()]*,\s*|Problem\()"([a-z_]+)"',
            code,
        )
    )
    assert {"decode_error", "persist_failed", "invalid_text", "identity_changed"} <= kinds
    for kind in kinds:
        assert re.search(rf"\b{kind}\b", text), f"{kind} is not in protocol.md"


def test_every_table_and_view_is_documented() -> None:
    names = re.findall(r"^CREATE (?:TABLE|VIEW) (\w+)", schema_sql(), re.MULTILINE)
    assert len(names) >= 6
    text = read("data-model.md")
    for name in names:
        assert re.search(rf"\b{name}\b", text), f"{name} is not in data-model.md"


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
