"""Addresses as multiaddrs, the form in which observers expect endpoints. Pure.

Refuses to resolve anything.
"""

import ipaddress


def multiaddr(address: str) -> str:
    """`127.0.0.1:80` as /ip4/127.0.0.1/tcp/80, `[::1]:80` as /ip6/::1/tcp/80,
    `name:80` as /dns/name/tcp/80, `unix:/path` as /unix/path; anything else as it is.
    """
    if address.startswith("unix:"):
        return "/unix/" + address.removeprefix("unix:").lstrip("/")
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal():
        return address
    host = host.removeprefix("[").removesuffix("]")
    try:
        version = ipaddress.ip_address(host.partition("%")[0]).version
    except ValueError:
        return f"/dns/{host}/tcp/{port}"
    return f"/ip{version}/{host}/tcp/{port}"
