from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peeps.collectors.socket_addresses import Pair, ip_address, ip_pair, unix_pair


@pytest.mark.parametrize(
    ("sockname", "text", "is_local"),
    [
        (("127.0.0.1", 80), "127.0.0.1:80", True),
        (("10.1.2.3", 80), "10.1.2.3:80", False),
        (("::1", 80, 0, 0), "[::1]:80", True),
        (("::ffff:10.1.2.3", 80, 0, 0), "10.1.2.3:80", False),
        (("::ffff:127.0.0.1", 80, 0, 0), "127.0.0.1:80", True),
        (("fe80::1%eth0", 80, 0, 2), "[fe80::1]:80", False),
        (("2001:DB8:0:0::1", 80, 0, 0), "[2001:db8::1]:80", False),
        (("0.0.0.0", 80), "0.0.0.0:80", False),
    ],
)
def test_canonical_addresses(sockname: Any, text: str, is_local: bool) -> None:
    assert ip_address(sockname) == (text, is_local)


@pytest.mark.parametrize("odd", [None, "", "/run/socket", b"\0abstract", (), ("x", 1), (1, 2)])
def test_what_is_no_ip_address(odd: Any) -> None:
    assert ip_address(odd) is None


addresses = st.tuples(st.ip_addresses().map(str), st.integers(0, 65535))


@given(addresses, addresses)
def test_both_ends_call_each_other_the_same(one: Any, other: Any) -> None:
    here, there = ip_pair("tcp", one, other), ip_pair("tcp", other, one)
    assert here is not None
    assert there is not None
    assert here.id("s") == there.peer_id("s")
    assert here.peer_id("s") == there.id("s")


def test_ids_of_what_is_valid_on_one_host_only_tell_the_host() -> None:
    far = ip_pair("tcp", ("10.0.0.1", 1), ("10.0.0.2", 2))
    near = ip_pair("tcp", ("127.0.0.1", 1), ("127.0.0.1", 2))
    assert isinstance(far, Pair)
    assert isinstance(near, Pair)
    assert far.id("host") == "socket:tcp:10.0.0.1:1>10.0.0.2:2"
    assert near.id("host") == "socket:tcp:127.0.0.1:1>127.0.0.1:2@host"
    assert unix_pair(5, 6).peer_id("host") == "socket:unix:6>5@host"
