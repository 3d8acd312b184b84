import pytest

from peepsd.feed.websocket import BadUrl, parse_url, shown


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("ws://127.0.0.1:9130/introspect", "ws://127.0.0.1:9130/introspect"),
        ("wss://me:secret@h/observer?token=secret#secret", "wss://h/observer"),
        ("ws://[::1]:80/x?protocol=signal", "ws://[::1]:80/x"),
        ("ws://[", "ws://["),
    ],
)
def test_what_is_shown_of_a_url_has_no_secrets(url: str, safe: str) -> None:
    assert shown(url) == safe


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://h/",
        "ws:///x",
        "ws://h:99999/",
        "ws://h:0/",
        "h:1",
        "ws://h/\N{SNOWMAN}",
        "ws://h/a b",
        "ws://h/?a=\x7f",
        f"ws://{'a' * 64}.example/",
    ],
)
def test_what_is_no_websocket_url(url: str) -> None:
    with pytest.raises(BadUrl):
        parse_url(url)
