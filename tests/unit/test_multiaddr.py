import pytest

from peepsd.feed.multiaddr import multiaddr


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:9119", "/ip4/127.0.0.1/tcp/9119"),
        ("[::1]:9119", "/ip6/::1/tcp/9119"),
        ("[fe80::1%eth0]:1", "/ip6/fe80::1%eth0/tcp/1"),
        ("db.internal:5432", "/dns/db.internal/tcp/5432"),
        ("unix:/run/peeps.sock", "/unix/run/peeps.sock"),
        ("", ""),
        ("nonsense", "nonsense"),
        ("host:port", "host:port"),
        (":80", ":80"),
    ],
)
def test_multiaddr(address: str, expected: str) -> None:
    assert multiaddr(address) == expected
