"""The rules of docs/architecture.md about who may import whom, held by reading the code."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DAEMON = ROOT / "daemon" / "peepsd"
AGENT = ROOT / "client_agent" / "peeps"

STORE_ONLY = {"aiosqlite", "sqlite3", "trio_asyncio"}
EFFECTS = {
    "trio",
    "sqlite3",
    "aiosqlite",
    "socket",
    "asyncio",
    "subprocess",
    "time",
    "os",
    "select",
}

# room: (rooms of peepsd it may import, modules of others it may not)
ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "core": ({"core", "errors"}, EFFECTS | STORE_ONLY),
    "workers": ({"workers", "errors"}, STORE_ONLY),
    "store": ({"store", "core", "errors", "workers"}, {"starlette", "hypercorn", "socket"}),
    "net": ({"net", "core", "errors"}, STORE_ONLY | {"starlette", "hypercorn"}),
    "http": ({"http", "core", "errors"}, STORE_ONLY),
    "feed": ({"feed", "core", "errors"}, STORE_ONLY),
    "asking": ({"asking", "errors", "store"}, STORE_ONLY | {"click", "rich", "mcp"}),
    "mcp": ({"mcp", "asking", "errors", "store"}, STORE_ONLY | {"click", "rich"}),
}
FREE_ROOMS = {"app", "cli"}
SHARED_MODULES = {
    "errors", "config", "log", "notify", "telemetry", "triggers", "__main__", "__init__",
}  # fmt: skip


def modules(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*.py") if "pb" not in p.parts)


def imports(path: Path, package: str, root: Path) -> Iterator[str]:
    """Every module that `path` imports, absolute, wherever in the file the import stands."""
    parts = [package, *path.relative_to(root).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parts[: -node.level] if node.level else []
            target = [*base, *(node.module.split(".") if node.module else [])]
            if (node.level and not node.module) or target == [package]:
                yield from (".".join([*target, alias.name]) for alias in node.names)
            else:
                yield ".".join(target)


def room_of(path: Path) -> str:
    return path.relative_to(DAEMON).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(DAEMON), ids=lambda p: str(p.relative_to(DAEMON)))
def test_a_room_of_the_daemon_imports_only_what_it_may(path: Path) -> None:
    room = room_of(path)
    found = set(imports(path, "peepsd", DAEMON))
    agent = {m for m in found if m.split(".")[0] == "peeps"}
    assert all(m.startswith("peeps.wire") for m in agent), "only peeps.wire of the agent"
    inside = {m.split(".")[1] for m in found if m.startswith("peepsd.")}
    outside = {m.split(".")[0] for m in found} - {"peepsd", "peeps"}
    if room in ROOMS:
        may, may_not = ROOMS[room]
        assert inside <= may, f"{room} may import {sorted(may)}"
        assert not outside & may_not, f"{room} must not know {sorted(outside & may_not)}"
    else:
        assert room in FREE_ROOMS | SHARED_MODULES, f"{room} has no rule: give it one"
        assert not outside & STORE_ONLY, "SQLite is known to the store alone"
    if room not in {"app", "cli"}:
        assert "app" not in inside, "only cli imports app"
        assert "config" not in inside, "config is handed down as plain values"


@pytest.mark.parametrize("path", modules(AGENT), ids=lambda p: str(p.relative_to(AGENT)))
def test_the_agent_imports_the_standard_library_and_itself(path: Path) -> None:
    for module in imports(path, "peeps", AGENT):
        top = module.split(".")[0]
        if top in sys.stdlib_module_names or top == "peeps":
            continue
        if path.parent.name == "integrations" and top == path.stem:
            continue  # imported by the program that uses that library
        assert _is_guarded(path, top), f"{module}: the agent has no dependency"


def _is_guarded(path: Path, top: str) -> bool:
    """Whether every import of `top` stands inside a function or a `try`: it is optional."""
    tree = ast.parse(path.read_text())
    unguarded = list(tree.body)
    return not any(
        isinstance(node, ast.Import | ast.ImportFrom)
        and any(n.split(".")[0] == top for n in _names(node))
        for node in unguarded
    )


def _names(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if not node.level else []


@pytest.mark.parametrize("path", modules(DAEMON) + modules(AGENT), ids=lambda p: p.name)
def test_every_file_opens_with_what_it_decides(path: Path) -> None:
    if path.read_text().strip():
        assert ast.get_docstring(ast.parse(path.read_text())), "no docstring"


def test_wire_is_the_lowest_floor() -> None:
    for path in modules(AGENT / "wire"):
        for module in imports(path, "peeps", AGENT):
            assert (
                module.startswith("peeps.wire") or module.split(".")[0] in sys.stdlib_module_names
            )
            assert module.split(".")[0] not in EFFECTS


def test_no_module_of_the_daemon_imports_itself_through_others() -> None:
    left = {
        ".".join(["peepsd", *path.relative_to(DAEMON).with_suffix("").parts]): set(
            imports(path, "peepsd", DAEMON)
        )
        for path in modules(DAEMON)
    }
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    assert not left, f"a circle, and those that import it: {sorted(left)}"
