"""What `peeps` prints, word for word, about a fixed database.

The expected texts are in tests/golden; `PEEPS_TEST_WRITE_GOLDEN=1 pytest` writes them anew.
"""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from peepsd.cli import commands, data_commands, running
from peepsd.cli.output import safe
from tests.support.answers_db import SnapshotBuilder, new_database, write_story

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_story(tmp_path_factory.mktemp("story") / "story.sqlite"))


@pytest.fixture(autouse=True)
def _of_one_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")  # of help texts


def peeps(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        commands.main(words)
    said = capsys.readouterr()
    return int(exit_.value.code or 0), said.out, said.err


CASES = {
    "why": (["why"], 0),
    "why-task": (["why", "query-10"], 0),
    "why-process": (["why", "worker"], 0),
    "why-silent-process": (["why", "ledger"], 0),
    "deadlocks": (["deadlocks"], 1),
    "deadlocks-once": (["deadlocks", "--at", "1"], 1),
    "check": (["check"], 1),
    "check-sql": (["check", "--sql", "--no-confirm"], 1),
    "tree": (["tree"], 0),
    "waits": (["waits", "worker"], 0),
    "blockers": (["blockers", "--limit", "8"], 0),
    "stack": (["stack", "charge"], 0),
    "diff": (["diff"], 0),
    "diff-back": (["diff", "2", "1"], 0),
    "stuck": (["stuck", "--last", "2"], 0),
    "snapshots": (["snapshots"], 0),
    "sql": (["sql", "SELECT kind, count(*) AS n FROM nodes GROUP BY kind ORDER BY n DESC"], 0),
    "query": (["query", "blocked-senders"], 0),
    "queries": (["query"], 0),
    "export-dot": (["export", "--format", "dot"], 0),
    "export-mermaid": (["export", "--format", "mermaid"], 0),
    "help": (["--help"], 0),
}


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=CASES)
def test_words(
    name: str, case: tuple[list[str], int], story: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, expected_status = case
    db = [] if words == ["--help"] else ["--db", story]
    status, out, err = peeps(capsys, *words, *db)
    assert (status, err) == (expected_status, "")
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("PEEPS_TEST_WRITE_GOLDEN"):
        path.write_text(out)
    assert out == path.read_text()


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("help", "queries")])
def test_json_is_what_is_shown(name: str, story: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, expected_status = CASES[name]
    status, out, _ = peeps(capsys, *words, "--json", "--db", story)
    assert status == expected_status
    assert isinstance(json.loads(out), dict)


def test_flags_may_come_before_the_command(story: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = peeps(capsys, "--db", story, "why")
    assert before == peeps(capsys, "why", "--db", story)
    assert before[0] == 0


def test_exit_statuses(story: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = new_database(tmp_path / "well.sqlite")
    SnapshotBuilder(db, 1, 10**18).process("p", 1)
    db.close()
    well = str(tmp_path / "well.sqlite")
    assert peeps(capsys, "check", "--db", well)[0] == 0
    assert peeps(capsys, "deadlocks", "--db", well)[0] == 0
    assert peeps(capsys, "deadlocks", "--db", story)[0] == 1
    assert peeps(capsys, "deadlocks", "--wrong")[0] == 2
    assert peeps(capsys, "why", "--db", str(tmp_path / "none"))[0] == 3
    assert peeps(capsys, "why", "--at", "9", "--db", story)[0] == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["check"], 1),
        (["waits"], 0),
        (["sql", "SELECT * FROM nodes", "--json"], 0),
        (["export"], 0),
        (["query", "waits", "--sql"], 0),
        (["completion", "bash"], 0),
    ],
)
def test_a_reader_that_leaves_changes_no_exit_status(
    words: list[str], expected: int, story: str
) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "peepsd.cli", "--db", story, *words]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (expected, "")


def test_a_diagram_that_mermaid_would_refuse_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = new_database(tmp_path / "d.sqlite")
    s = SnapshotBuilder(db, 1, 10**18)
    s.process("p", 1)
    s.node("lock:p-1/0", "p-1", "lock")
    for n in range(501):
        s.edge(s.node(f"task:p-1/{n:x}", "p-1", "t"), "lock:p-1/0")
    db.close()
    words = ["export", "--format", "mermaid", "--db", str(tmp_path / "d.sqlite")]
    status, out, err = peeps(capsys, *words)
    assert status == 0
    assert out.startswith("%% 501 edges")
    assert out.splitlines()[1] == "flowchart LR"
    assert "mermaid refuses more than 500 edges" in err


def test_without_a_daemon_it_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = peeps(capsys, "why", "--url", "http://127.0.0.1:1")
    assert (status, out) == (3, "")
    assert "no peepsd answers at http://127.0.0.1:1" in err
    assert "start one with `peepsd`" in err


@pytest.mark.parametrize(
    "url", ["localhost:abc", "http://[::1", "http://", "ftp://x:1", "127.0.0.1:70000"]
)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_what_is_no_address_is_wrong_usage_and_no_finding(
    url: str, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = peeps(capsys, "--url", url, "deadlocks", *more)
    assert (status, out) == (2, "")
    assert "is no address of a daemon" in err
    assert "write host:port, such as 127.0.0.1:9130" in err


def test_a_malformed_variable_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEEPS_HTTP", "garbage")
    status, _, err = peeps(capsys, "why")
    assert (status, "garbage" in err, "PEEPS_HTTP" in err) == (2, True, True)


@pytest.mark.parametrize("words", [["jump"], ["connections"], ["record-snapshots"]])
def test_what_needs_a_daemon_says_so(
    words: list[str], story: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = peeps(capsys, *words, "--db", story)
    assert status == 3
    assert "leave --db out" in err


def test_a_file_and_a_daemon_exclude_each_other(
    story: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = peeps(capsys, "why", "--db", story, "--url", "http://127.0.0.1:1")
    assert (status, "exclude each other" in err) == (2, True)


@pytest.mark.parametrize("command", ["waits", "tree"])
def test_an_unknown_process_is_no_idle_one(
    command: str, story: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = peeps(capsys, command, "nobody", "--db", story)
    assert (status, out) == (3, "")
    assert "no process 'nobody' in snapshot 2" in err


def test_waits_of_a_pid_are_those_of_its_process(
    story: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert peeps(capsys, "waits", "33", "--db", story) == peeps(
        capsys, "waits", "worker", "--db", story
    )


def test_export_into_a_file(story: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, printed, _ = peeps(capsys, "export", "--db", story)
    out = tmp_path / "waits.dot"
    assert peeps(capsys, "export", "--db", story, "-o", str(out)) == (0, "", "")
    assert out.read_text() == printed
    out.unlink()
    status, _, _ = peeps(capsys, "export", "--db", story, "--json", "-o", str(out))
    assert (status, out.read_text()) == (0, printed)
    nowhere = str(tmp_path / "none" / "waits.dot")
    status, _, err = peeps(capsys, "export", "--db", story, "-o", nowhere)
    assert (status, err) == (3, f"peeps: cannot write {nowhere}: No such file or directory\n")


def test_run_says_what_cannot_be_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = tmp_path / "nothing"
    nothing.write_bytes(b"\x00")
    nothing.chmod(0o755)
    status, _, err = peeps(capsys, "run", "--", str(nothing))
    assert (status, err) == (3, f"peeps: cannot run {nothing}: Exec format error\n")


@pytest.mark.parametrize("first", [["run"], ["--db", "unused", "run"]])
def test_run_is_the_same_with_and_without_the_table_of_commands(first: list[str]) -> None:
    shell = ["sh", "-c", 'echo "$PEEPS_PROCESS_NAME $PEEPS_DASHBOARD $*"', "x", "--name", "y"]
    words = ["--dashboard=h:1", "--name", "orders", "--", *shell]
    command = [sys.executable, "-m", "peepsd.cli", *first, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "orders h:1 --name y\n", "")


@pytest.mark.parametrize("words", [[], ["--nonsense", "x"]])
def test_run_without_a_command_is_wrong_usage(words: list[str]) -> None:
    command = [sys.executable, "-m", "peepsd.cli", "run", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, running.USAGE)


def test_the_help_of_run_is_that_of_the_table_of_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    running.main(["--help"])
    plain = " ".join(capsys.readouterr().out.split())
    table = " ".join(peeps(capsys, "run", "--help")[1].split())
    for part in (running.WHAT, running.MORE, running.DASHBOARD_HELP, running.NAME_HELP):
        assert part in plain
        assert part in table


def offered(*words: str) -> tuple[list[str], str]:
    """What a shell is offered for the last of the words, and what it is told of failures."""
    command = [sys.executable, "-m", "peepsd.cli"]
    line = {"COMP_WORDS": " ".join(["peeps", *words]), "COMP_CWORD": str(len(words))}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | line | {"_PEEPS_COMPLETE": "bash_complete", "PEEPS_URL": "127.0.0.1:1"},
    )
    return [row.partition(",")[2] for row in done.stdout.splitlines() if row], done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["why", "query"], ["query-10", "query-8", "query-9"]),
        (["why", "worker/h"], ["worker/heartbeat"]),
        (["why", "bill"], ["billing", "billing-22"]),
        (["why", "--at", "1", "new"], []),  # the newcomer is in the second snapshot only
        (["why", "new"], ["newcomer"]),
        (["tree", "api"], ["api", "api-11"]),
        (["waits", "q"], []),
        (["stack", "check"], ["checkout"]),
        (["why", "--at", ""], ["latest", "2", "1"]),
        (["diff", "2"], ["2"]),
        (["share", ""], ["2", "1"]),
        (["query", "stale"], ["stale-blockers"]),
    ],
)
def test_what_a_shell_is_offered(words: list[str], expected: list[str], story: str) -> None:
    *before, last = words
    assert offered(*before[:1], "--db", story, *before[1:], last) == (expected, "")


@pytest.mark.parametrize("start", ["", "-", "--d", "p/", "p/-"])
def test_a_shell_is_offered_no_name_that_is_an_option(start: str, tmp_path: Path) -> None:
    db = new_database(tmp_path / "d.sqlite")
    s = SnapshotBuilder(db, 1, 10**18)
    s.process("--db=x", 1)
    s.process("p", 2)
    s.node("task:1", "p-2", "--drop=everything")
    db.close()
    found, _ = offered("why", "--db", str(tmp_path / "d.sqlite"), start)
    strange = [text for text in found if text.startswith(("--db=", "--drop"))]
    assert (strange, "p" in found) == ([], start == "")


@pytest.mark.parametrize(
    "words", [["--db", "/none", ""], ["--at", "x", "--url", "127.0.0.1:1", ""]]
)
def test_a_shell_hears_of_no_failure(words: list[str]) -> None:
    assert offered("why", *words) == ([], "")


def test_query_names_are_completed() -> None:
    context = click.Context(data_commands.query)
    name = data_commands.query.params[0]
    assert [c.value for c in name.shell_complete(context, "stale")] == ["stale-blockers"]


def test_names_cannot_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b]0;gone\x07\x1b[2J\u202eevil\n[bold]markup[/bold]"
    db = new_database(tmp_path / "d.sqlite")
    s = SnapshotBuilder(db, 1, 10**18)
    s.process("p", 1)
    for name in "ab":
        s.node(f"task:{name}", "p-1", evil + name, at=f"/x\x1b[31m.py:1 {evil}", stack=[evil])
    s.chain("task:a", "task:b", "task:a")
    db.close()
    for words in (["why"], ["deadlocks"], ["check"], ["tree"], ["waits"], ["blockers"],
                  ["stack", "task:a"], ["export"], ["export", "--format", "mermaid"],
                  ["sql", "SELECT label, attrs_json, 'a\x1b[2J' FROM nodes"]):  # fmt: skip
        _, out, _ = peeps(capsys, *words, "--db", str(tmp_path / "d.sqlite"))
        bad = {c for c in out if c != "\n" and not c.isprintable()}
        assert bad == set(), words
    assert safe("a\x1bb\u202ec") == "a\\x1bb\\u202ec"


def test_no_colours_in_a_pipe_and_colours_on_a_terminal(story: str) -> None:
    command = [sys.executable, "-m", "peepsd.cli", "why", "--db", story]
    plain = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout
    assert b"\x1b[" not in plain
    import pty

    primary, secondary = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(command, stdout=secondary, stderr=secondary, env=environment) as child:
        os.close(secondary)
        shown = b""
        try:
            while chunk := os.read(primary, 65536):
                shown += chunk
        except OSError:  # how Linux says that the other end is closed
            pass
        child.wait(60)
    os.close(primary)
    assert b"\x1b[" in shown


def test_events_of_no_snapshot_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "d.sqlite")
    new_database(tmp_path / "d.sqlite").close()
    _, out, _ = peeps(capsys, "events", "--db", path)
    assert out == "Everything that was received could be used.\n"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        add = (
            "INSERT INTO ingest_events (event_at_ns, snapshot_id, proc_key, event_kind, detail,"
            " count) VALUES (?, ?, ?, ?, ?, ?)"
        )
        db.execute(add, (10**18, None, None, "unauthorised", "10.0.0.1:5: no\x1b[2J", 7))
        db.execute(add, (10**18 + 10**9, 3, "web-1", "decode_error", "not JSON", 1))
    status, out, _ = peeps(capsys, "events", "--db", path)
    assert (status, [line.split() for line in out.splitlines()]) == (
        0,
        [
            ["at", "(UTC)", "kind", "times", "snapshot", "process", "detail"],
            ["2001-09-09", "01:46:41.000", "decode_error", "1", "3", "web-1", "not", "JSON"],
            ["2001-09-09", "01:46:40.000", "unauthorised", "7", "10.0.0.1:5:", "no\\x1b[2J"],
        ],
    )
    _, out, _ = peeps(capsys, "events", "--limit", "1", "--json", "--db", path)
    (newest,) = json.loads(out)["events"]
    assert (newest["event_kind"], newest["snapshot_id"], newest["count"]) == ("decode_error", 3, 1)
    assert peeps(capsys, "events", "--limit", "0", "--db", path)[0] == 2


def test_sharing_one_snapshot(
    story: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "one.peeps")
    assert peeps(capsys, "share", "2", out, "--db", story)[0] == 0
    shared = peeps(capsys, "why", "--db", out)
    assert shared == peeps(capsys, "why", "--db", story)
    listed = json.loads(peeps(capsys, "snapshots", "--json", "--db", out)[1])
    assert [row["snapshot_id"] for row in listed["snapshots"]] == [2, 1], "the one before, too"
    assert "This is a deadlock." in shared[1]
    assert Path(out).stat().st_mode & 0o777 == 0o600
    status, _, err = peeps(capsys, "share", "2", out, "--db", story)
    assert (status, "exists already" in err) == (3, True)


@pytest.mark.parametrize("command", ["why", "deadlocks", "check"])
def test_the_snapshot_before_confirms_whoever_asks(
    command: str, story: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def is_confirmed(at: str) -> bool:
        answer = json.loads(peeps(capsys, command, "--json", "--at", at, "--db", story)[1])
        if command == "check":
            return bool(answer["findings"][0]["confirmed"])
        knot = answer["deadlock"] if command == "why" else answer["deadlocks"][0]
        return bool(knot["status"] == "confirmed")

    assert is_confirmed("2")
    assert not is_confirmed("1"), "there is none before"


def test_what_has_begun_since_the_snapshot_before_stays_to_be_confirmed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = new_database(tmp_path / "d.sqlite")
    for number in (1, 2):
        s = SnapshotBuilder(db, number, 10**18 + number)
        s.process("p", 1)
        for name in "ab":
            s.node(f"task:{name}", "p-1", name)
    s.chain("task:a", "task:b", "task:a")
    db.close()
    _, out, _ = peeps(capsys, "why", "--db", str(tmp_path / "d.sqlite"))
    assert "This is a deadlock if it lasts; it was seen once." in out


def test_a_shared_file_is_read_from_a_read_only_place(
    story: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "cd"
    place.mkdir()
    peeps(capsys, "share", "1", str(place / "one.peeps"), "--db", story)
    (place / "one.peeps").chmod(0o400)
    place.chmod(0o500)
    try:
        assert peeps(capsys, "deadlocks", "--db", str(place / "one.peeps"))[0] == 1
        assert [p.name for p in place.iterdir()] == ["one.peeps"]
    finally:
        place.chmod(0o700)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = peeps(capsys, "completion", shell)
    assert status == 0
    assert "_PEEPS_COMPLETE" in out


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name in commands.COMMANDS:
        status, out, _ = peeps(capsys, name, "--help")
        assert status == 0
        assert len(out.splitlines()) > 4, name


def test_the_list_of_commands_imports_none_of_them() -> None:
    code = "import sys; from peepsd.cli import commands; commands.group.main(['--help'],"
    code += " standalone_mode=False); assert not {'rich', 'httpx', 'mcp', 'rustworkx'} & set("
    code += "sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_run_replaces_itself_by_the_command_with_the_agent_on(tmp_path: Path) -> None:
    show = "import os; print(os.environ['PEEPS_DASHBOARD'], os.environ['PEEPS_PROCESS_NAME'])"
    # -S: the child must not connect anywhere, only tell its environment
    command = [sys.executable, "-m", "peepsd.cli", "run", "--dashboard", "127.0.0.1:1", "--name"]
    command += ["shop", "--", sys.executable, "-S", "-c", show + "; raise SystemExit(7)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (7, "127.0.0.1:1 shop")


def test_click_and_we_agree_on_usage_errors() -> None:
    result = CliRunner().invoke(commands.group, ["diff", "zero"])
    assert result.exit_code == 2
