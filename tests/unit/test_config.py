"""Settings: defaults, flags over variables, clear errors."""

import pytest

from peepsd import config
from peepsd.config import Address, load
from peepsd.errors import ConfigError


def test_defaults() -> None:
    c = load({})
    assert (c.listen, c.http) == (Address("127.0.0.1", 9119), Address("127.0.0.1", 9130))
    assert (c.timeout_ms, c.grace_ms, c.max_frame_bytes) == (5000, 500, 64 << 20)
    assert (c.retain_snapshots, c.retain_event_days, c.token) == (500, 7, None)


def test_flags_win_over_variables() -> None:
    c = load({"PEEPS_TIMEOUT_MS": "7", "PEEPS_DB": "a"}, {"timeout_ms": "8", "db": None})
    assert (c.timeout_ms, c.db) == (8, "a")


def test_the_variables_of_agents_and_of_the_command_line_are_known() -> None:
    others = {"PEEPS_DASHBOARD": "x:1", "PEEPS_PROCESS_NAME": "n", "PEEPS_URL": "u", "PATH": "/"}
    assert load(others) == load({})


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"PEEPS_TIMEOUT": "5"}, "PEEPS_TIMEOUT is not a setting"),
        ({"PEEPS_TIMEOUT_MS": "soon"}, "PEEPS_TIMEOUT_MS: 'soon' is not a whole number"),
        ({"PEEPS_TIMEOUT_MS": "0"}, "not between 1 and 60000"),
        ({"PEEPS_LISTEN": "9119"}, "is not host:port"),
        ({"PEEPS_LISTEN": "x:99999"}, "is not host:port"),
        ({"PEEPS_DB": ""}, "PEEPS_DB: '' is empty"),
        ({"PEEPS_TOKEN": "short"}, "fewer than 16 characters"),
        ({"PEEPS_LOG_LEVEL": "loud"}, "is not debug"),
        ({"PEEPS_INSECURE": "perhaps"}, "is not 1 or 0"),
        ({"PEEPS_MAX_FRAME_BYTES": str(1 << 40)}, "not between"),
        ({"PEEPS_RETAIN_EVENT_DAYS": "nan"}, "not between"),
    ],
)
def test_a_wrong_setting_is_an_error_that_names_it(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ)
    assert said in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_status == 2


def test_a_typo_is_told_what_was_meant() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"PEEPS_RETAIN_SNAPSHOT": "5"})
    assert caught.value.hint == "did you mean PEEPS_RETAIN_SNAPSHOTS?"


def test_a_token_is_never_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        load({}, {"token": "hunter2"})
    assert "hunter2" not in caught.value.message + str(caught.value.hint)


TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("variable", ["PEEPS_LISTEN", "PEEPS_HTTP"])
@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "192.168.0.1:1", "example.org:1"])
def test_beyond_loopback_only_with_a_token_and_knowingly(variable: str, address: str) -> None:
    with pytest.raises(ConfigError, match="PEEPS_TOKEN is not set"):
        load({variable: address})
    with pytest.raises(ConfigError, match="in the clear"):
        load({variable: address, "PEEPS_TOKEN": TOKEN})
    load({variable: address, "PEEPS_TOKEN": TOKEN, "PEEPS_INSECURE": "1"})


def test_a_unix_socket_is_for_processes_only() -> None:
    assert str(load({"PEEPS_LISTEN": "unix:/run/p.sock"}).listen) == "unix:/run/p.sock"
    with pytest.raises(ConfigError, match="is not host:port"):
        load({"PEEPS_HTTP": "unix:/run/p.sock"})


@pytest.mark.parametrize(
    "address",
    ["unix:/run/p.sock", "/run/p.sock", "127.0.0.1:1", "[::1]:1", "localhost:1", "127.9.9.9:0"],
)
def test_loopback_needs_nothing(address: str) -> None:
    assert load({"PEEPS_LISTEN": address}).listen.is_loopback


def test_every_setting_has_a_name_a_flag_and_words() -> None:
    fields = set(config.Config.__dataclass_fields__)
    assert {s.field for s in config.SETTINGS} == fields
    for setting in config.SETTINGS:
        assert setting.help
        assert setting.flag.startswith("--")
