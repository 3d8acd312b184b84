import pytest


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["python", "app.py"], True),
        (["python", "-m", "app"], True),
        (["python", "-c", "print(1)"], True),
        (["python"], True),
        (["python", "-m", "pip", "install", "x"], False),
        (["python", "-m", "venv", "x"], False),
        (["python", "/usr/bin/pip3", "install"], False),
        (["python", "/venv/bin/peepsd"], False),
        (["python", "/venv/bin/peeps", "ps"], False),
        (["python", "-m", "peeps", "app.py"], False),
        (["python", "-c", "from multiprocessing.resource_tracker import main;main(5)"], False),
        (["python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main()"], True),
        (["python", "-X", "dev", "app.py"], True),
        (["python", "-X", "dev", "/venv/bin/peepsd"], False),
        (["python", "-W", "error", "-m", "pip"], False),
        (["python", "-I", "-W", "error", "app.py"], True),
    ],
)
def test_helpers_and_tools_are_not_looked_into(argv, expected, monkeypatch):
    monkeypatch.delenv("PEEPS_DASHBOARD", raising=False)
    from peeps._boot import should_start

    assert should_start(argv) is expected


def test_a_fork_server_starts_it_in_its_children(monkeypatch):
    monkeypatch.delenv("PEEPS_DASHBOARD", raising=False)
    from peeps._boot import is_fork_server

    assert is_fork_server(["python", "-c", "from multiprocessing.forkserver import main; main()"])
    assert not is_fork_server(["python", "app.py"])
