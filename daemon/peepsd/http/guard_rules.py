"""Who may ask over HTTP and WebSocket: the decisions, without IO.

Decides, from a request's head alone, whether it is answered: a stranger's web page in the
browser of somebody who runs peepsd is refused, and so is whoever lacks the token. Refuses to know
what is asked. The rules and the attacks they stop are in docs/security.md.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final
from urllib.parse import parse_qs

MAX_BODY_BYTES: Final = 128 * 1024

METHODS: Final = ("GET", "HEAD", "POST")
"""What is allowed. A list of what is not would forget one."""

_SAFE: Final = ("GET", "HEAD")
_MAX_FIELDS: Final = 32


@dataclass(frozen=True, slots=True)
class Policy:
    """Where we listen and whom we trust; plain values.

    port: the one that listens. hosts: names and addresses, without port, that requests may be
    for. authorities: the same with a port of its own, or none (a proxy in front of us).
    token: required of everybody when set. public: paths that need no token, such as the page
    that asks for it. methods: may be widened, e.g. by DELETE; a method that is not GET or HEAD is
    treated like POST.
    """

    port: int
    hosts: frozenset[str]
    authorities: frozenset[str] = frozenset()
    token: str | None = None
    public: frozenset[str] = frozenset()
    methods: tuple[str, ...] = METHODS

    @classmethod
    def listening_on(
        cls,
        host: str,
        port: int,
        *,
        extra_hosts: Iterable[str] = (),
        token: str | None = None,
        public: Iterable[str] = (),
        methods: tuple[str, ...] = METHODS,
    ) -> "Policy":
        """The policy for one listener. extra_hosts: "name" or "name:port", as in a URL."""
        extra = frozenset(name.lower() for name in extra_hosts)
        hosts = {"localhost", "127.0.0.1", "::1"}
        if not _is_unspecified(host):  # 0.0.0.0 is reached by an address of ours, see _is_ours
            hosts.add(host.lower().strip("[]"))
        hosts |= {name.strip("[]") for name in extra if _port_of(name) is None}
        return cls(port, frozenset(hosts), extra, token, frozenset(public), methods)


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request, as far as it matters here. Header names are lower case."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    is_websocket: bool = False
    http_version: str = "1.1"
    local_host: str | None = None
    """The address of ours that the client connected to."""

    def all(self, name: bytes) -> list[str]:
        """Every value of a header."""
        return [value.decode("latin-1").strip() for key, value in self.headers if key == name]

    @property
    def path(self) -> str:
        return self.target.partition(b"?")[0].decode("latin-1")


@dataclass(frozen=True, slots=True)
class Refuse:
    """The answer to a request that is not let through."""

    status: int
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())


def decide(request: Request, policy: Policy) -> Refuse | None:
    """None: let it through."""
    for rule in (_version, _target, _host, _method, _origin, _fetch_site, _body, _token):
        if (refusal := rule(request, policy)) is not None:
            return refusal
    return None


def _version(request: Request, policy: Policy) -> Refuse | None:
    if request.http_version in ("1.0", "1.1"):
        return None
    return Refuse(505, f"HTTP/{request.http_version} is not spoken here; use HTTP/1.1")


def _target(request: Request, policy: Policy) -> Refuse | None:
    if request.target.startswith(b"/"):
        return None
    return Refuse(400, "the request target must be a path, such as /api/snapshots")


def _host(request: Request, policy: Policy) -> Refuse | None:
    """Against DNS rebinding: a page under somebody's name that resolves to our address."""
    hosts = request.all(b"host")
    if len(hosts) == 1 and _is_ours(hosts[0], request, policy):
        return None
    asked = repr(hosts[0][:100]) if len(hosts) == 1 else f"{len(hosts)} Host headers"
    return Refuse(
        421,
        f"this is not the host that was asked for ({asked}): use http://localhost:{policy.port}, "
        "or name the host when starting peepsd",
    )


def _is_ours(authority: str, request: Request, policy: Policy) -> bool:
    authority = authority.lower()
    if authority in policy.authorities:
        return True
    host, port = _split(authority)
    if (80 if port is None else port) != policy.port:
        return False
    return host in policy.hosts or (host == request.local_host and _is_address(host))


def _method(request: Request, policy: Policy) -> Refuse | None:
    if request.method in policy.methods:
        return None
    return method_not_allowed(request.method, policy.methods)


def method_not_allowed(method: str, methods: Iterable[str]) -> Refuse:
    """405, which must name the methods of the path that was asked for."""
    allow = ", ".join(methods)
    message = f"the method {method[:20]} is not allowed; use one of {allow}"
    return Refuse(405, message, ((b"allow", allow.encode()),))


def _origin(request: Request, policy: Policy) -> Refuse | None:
    """A browser names the page that asks. No Origin: not a browser, or its own address bar."""
    origins = request.all(b"origin")
    if not origins:
        return None
    if len(origins) == 1:
        scheme, _, authority = origins[0].partition("://")
        if scheme.lower() in ("http", "https") and _is_ours(authority, request, policy):
            return None
    return Refuse(403, f"a page of {origins[0][:100]!r} may not use peepsd; open peepsd's own page")


def _fetch_site(request: Request, policy: Policy) -> Refuse | None:
    """Against images, scripts, forms and pages on other ports of this machine."""
    sites = request.all(b"sec-fetch-site")
    if not sites or sites == ["same-origin"]:
        return None
    if request.method in _SAFE and (sites == ["none"] or _is_link(request)):
        return None
    return Refuse(403, "another page's request is not answered; open peepsd's own page")


def _is_link(request: Request) -> bool:
    """Whether somebody followed a link to us; the page that holds it cannot see the answer."""
    return (
        not request.is_websocket
        and request.all(b"sec-fetch-mode") == ["navigate"]
        and request.all(b"sec-fetch-dest") == ["document"]
    )


def _body(request: Request, policy: Policy) -> Refuse | None:
    if request.all(b"transfer-encoding"):
        return Refuse(411, "send the body with a Content-Length, not in chunks")
    if any(value.lower() != "identity" for value in request.all(b"content-encoding")):
        return Refuse(415, "send the body as it is, without a Content-Encoding")
    lengths = set(request.all(b"content-length"))
    if len(lengths) > 1 or not all(n.isascii() and n.isdigit() for n in lengths):
        return Refuse(400, "Content-Length must be one number")
    length = content_length(request)
    if length == 0:
        return None
    if length > MAX_BODY_BYTES:
        return Refuse(413, f"the body is larger than {MAX_BODY_BYTES} bytes; send less")
    types = [value.partition(";")[0].strip().lower() for value in request.all(b"content-type")]
    if types == ["application/json"]:
        return None
    return Refuse(415, "send the body as Content-Type: application/json")


def content_length(request: Request) -> int:
    """Of the body, in bytes; 0 without one. The header has been found to be a number."""
    text = (request.all(b"content-length") or ["0"])[0]
    return int(text) if len(text) <= 20 else MAX_BODY_BYTES + 1


def _token(request: Request, policy: Policy) -> Refuse | None:
    """Bearer token; for a WebSocket also ?token=, for browsers cannot give it a header."""
    if policy.token is None:
        return None
    if request.path in policy.public and request.method in _SAFE and not request.is_websocket:
        return None
    given = [
        value[7:].strip().encode("latin-1")
        for value in request.all(b"authorization")
        if value[:7].lower() == "bearer "
    ]
    if request.is_websocket and not given:
        query = request.target.partition(b"?")[2].decode("latin-1")
        fields = parse_qs(query) if query.count("&") < _MAX_FIELDS else {}
        given = [token.encode() for token in fields.get("token", [])]
    if len(given) == 1 and compare_digest(given[0], policy.token.encode()):
        return None
    return Refuse(
        401,
        "a token is needed: send Authorization: Bearer TOKEN, with the PEEPS_TOKEN of peepsd",
        ((b"www-authenticate", b'Bearer realm="peepsd"'),),
    )


def _split(authority: str) -> tuple[str, int | None]:
    """Host without brackets, and port. A port that is none is -1, which no listener has."""
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        return host, _number(rest[1:]) if rest[:1] == ":" else (None if not rest else -1)
    host, colon, port = authority.partition(":")
    return host, _number(port) if colon else None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else -1


def _port_of(authority: str) -> int | None:
    return _split(authority)[1]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_unspecified(host: str) -> bool:
    return host in ("", "*") or (
        _is_address(host.strip("[]")) and ipaddress.ip_address(host.strip("[]")).is_unspecified
    )
