import pytest

from peeps import versions
from peeps.versions import why_unsafe, why_unverified


@pytest.mark.parametrize(
    ("version", "implementation", "expected"),
    [
        ((3, 11), "cpython", None),
        ((3, 13), "cpython", None),
        ((3, 14), "cpython", "Python 3.14 was not verified"),
        ((3, 10), "cpython", "Python 3.10 was not verified"),
        ((3, 11), "pypy", "pypy keeps its frames"),
    ],
)
def test_what_was_not_verified_is_not_guessed(version, implementation, expected):
    found = why_unverified(version, implementation)
    assert found is None if expected is None else found.startswith(expected)


def test_a_build_without_the_interpreter_lock_is_not_looked_into(monkeypatch):
    monkeypatch.setattr(versions.sysconfig, "get_config_var", lambda name: 1)
    assert "free-threaded" in why_unsafe()
    assert "free-threaded" in why_unverified((3, 13), "cpython")
