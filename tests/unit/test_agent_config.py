import pytest

from peeps.config import Config, ConfigError, parse_address, read_config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9119", ("127.0.0.1", 9119)),
        (":9200", ("127.0.0.1", 9200)),
        ("daemon.example", ("daemon.example", 9119)),
        ("[::1]:9119", ("::1", 9119)),
        ("[::1]", ("::1", 9119)),
        ("::1", ("::1", 9119)),
        ("unix:/run/peeps.sock", "/run/peeps.sock"),
        ("/run/peeps.sock", "/run/peeps.sock"),
    ],
)
def test_addresses(text, expected):
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text", ["9119", "host:port", "host:0", "host:70000", "http://127.0.0.1:9119", "1:2x"]
)
def test_a_bad_address_is_an_error_that_shows_a_good_one(text):
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:9119"):
        parse_address(text)


def test_unset_or_empty_means_off():
    assert read_config({}) is None
    assert read_config({"PEEPS_DASHBOARD": "  "}) is None


def test_all_variables():
    config = read_config(
        {
            "PEEPS_DASHBOARD": "h:1",
            "PEEPS_PROCESS_NAME": "orders",
            "PEEPS_TOKEN": "secret",
            "PEEPS_MAX_FRAME_BYTES": "4096",
        }
    )
    assert config == Config(("h", 1), "orders", "secret", 4096)


@pytest.mark.parametrize("text", ["x", "-1", "12", "99999999999"])
def test_a_bad_frame_limit_is_an_error(text):
    with pytest.raises(ConfigError, match="PEEPS_MAX_FRAME_BYTES"):
        read_config({"PEEPS_DASHBOARD": "h:1", "PEEPS_MAX_FRAME_BYTES": text})
