import os

import pytest

from peeps.identity import make_identity, program_name


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["python", "/srv/orders.py", "--secret=1"], "orders"),
        (["python", "-X", "dev", "-u", "worker.py"], "worker"),
        (["python", "-m", "uvicorn", "app:app"], "uvicorn"),
        (["python", "-um", "http.server"], "http.server"),
        (["python", "-mhttp.server"], "http.server"),
        (["python", "-c", "print(1)"], "python"),
        (["python", "-Wcm", "x.py"], "x"),
        (["python", "-"], "python"),
        (["python"], "python"),
        (["python", "/app/orders/__main__.py"], "orders"),
        (["/usr/bin/python3", "/usr/bin/gunicorn", "-w", "4"], "gunicorn"),
        (["python", "-m", "orders.__main__"], "orders"),
    ],
)
def test_a_process_is_called_after_its_program(argv, expected):
    assert program_name(argv) == expected


def test_an_origin_is_name_pid_and_chance():
    one, two = make_identity("My Service"), make_identity("My Service")
    assert one.name == "My Service"
    assert one.pid == os.getpid()
    assert one.origin.startswith(f"my-service-{os.getpid()}-")
    assert one.origin != two.origin
    assert one.proc_key == f"my-service-{os.getpid()}"
