"""Who is let through, row by row; each row that is refused is an attack."""

import pytest

from peepsd.http.guard_rules import MAX_BODY_BYTES, Policy, Request, decide

HOST = ("host", "127.0.0.1:9130")
JSON = ("content-type", "application/json")
POLICY = Policy.listening_on("127.0.0.1", 9130)
TOKEN = Policy.listening_on("127.0.0.1", 9130, token="s3cret-ü", public=["/", "/app.js"])
WIDE = Policy.listening_on("0.0.0.0", 9130, extra_hosts=["Peeps.lan", "peeps.example.com:443"])

Header = tuple[str, str]


def request(
    method: str,
    *headers: Header,
    target: str = "/api/snapshots",
    websocket: bool = False,
    version: str = "1.1",
    local: str | None = "127.0.0.1",
) -> Request:
    encoded = tuple((name.encode(), value.encode("latin-1")) for name, value in headers)
    return Request(method, target.encode(), encoded, websocket, version, local)


def get(*headers: Header, target: str = "/api/snapshots") -> Request:
    return request("GET", HOST, *headers, target=target)


def post(*headers: Header) -> Request:
    return request("POST", HOST, *headers)


def ws(*headers: Header, target: str = "/introspect") -> Request:
    return request("GET", HOST, *headers, target=target, websocket=True)


def body(length: int | str) -> Header:
    return ("content-length", str(length))


def site(value: str) -> Header:
    return ("sec-fetch-site", value)


def origin(value: str) -> Header:
    return ("origin", value)


LINK = (site("cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"))


@pytest.mark.parametrize(
    "allowed",
    [
        get(),
        request("HEAD", HOST),
        request("GET", HOST, version="1.0"),
        post(),  # curl -X POST
        post(body(0)),
        post(body(2), JSON),
        post(body(MAX_BODY_BYTES), ("content-type", "Application/JSON; charset=utf-8")),
        post(body(2), JSON, ("content-encoding", "identity")),
        get(body(2), JSON),  # whether a body makes sense is for the route to say
        request("GET", ("host", "localhost:9130")),
        request("GET", ("host", "LOCALHOST:9130")),
        request("GET", ("host", "[::1]:9130")),
        get(origin("http://127.0.0.1:9130")),
        get(origin("http://localhost:9130"), site("same-origin")),
        post(origin("http://localhost:9130"), site("same-origin")),
        get(site("none")),  # the address bar
        get(site("same-origin")),
        get(*LINK),
        ws(),
        ws(origin("http://localhost:9130")),
        get(target="/api/snapshots?limit=5"),
    ],
)
def test_let_through(allowed: Request) -> None:
    assert decide(allowed, POLICY) is None


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        # DNS rebinding
        (request("GET"), 421),
        (request("GET", ("host", "evil.example:9130")), 421),
        (request("GET", ("host", "127.0.0.1.evil.example:9130")), 421),
        (request("GET", ("host", "localhost.evil.example:9130")), 421),
        (request("GET", ("host", "localhost.:9130")), 421),
        (request("GET", ("host", "localhost")), 421),
        (request("GET", ("host", "localhost:80")), 421),
        (request("GET", ("host", "localhost:9131")), 421),
        (request("GET", ("host", "localhost:")), 421),
        (request("GET", ("host", "localhost:09130x")), 421),
        (request("GET", ("host", "localhost:9130:9130")), 421),
        (request("GET", ("host", "user@localhost:9130")), 421),
        (request("GET", ("host", "[::1]9130")), 421),
        (request("GET", ("host", "[::1")), 421),
        (request("GET", ("host", "")), 421),
        (request("GET", ("host", "0.0.0.0:9130")), 421),
        (request("GET", ("host", "10.0.0.1:9130")), 421),
        (request("GET", HOST, HOST), 421),
        (request("GET", HOST, ("host", "evil.example")), 421),
        (request("GET", ("host", "127.0.0.1:9130, evil.example")), 421),
        # another protocol
        (request("GET", HOST, version="2.0"), 505),
        (request("GET", HOST, version="0.9"), 505),
        # not a path
        (get(target="http://127.0.0.1:9130/api/snapshots"), 400),
        (get(target="http://evil.example/"), 400),
        (get(target="*"), 400),
        (request("CONNECT", HOST, target="evil.example:443"), 400),
        # methods
        *[(request(method, HOST), 405) for method in
          ("OPTIONS", "DELETE", "PUT", "PATCH", "TRACE", "CONNECT", "PRI", "get", "BREW")],
        # other people's pages
        (get(origin("http://evil.example")), 403),
        (get(origin("null")), 403),
        (get(origin("")), 403),
        (get(origin("http://localhost")), 403),
        (get(origin("http://localhost:3000")), 403),
        (get(origin("http://localhost:9130.evil.example")), 403),
        (get(origin("ftp://localhost:9130")), 403),
        (get(origin("localhost:9130")), 403),
        (get(origin("http://localhost:9130"), origin("http://localhost:9130")), 403),
        (post(origin("http://evil.example")), 403),
        (post(origin("null")), 403),
        (post(body(2), JSON, origin("http://evil.example")), 403),
        (ws(origin("http://evil.example")), 403),
        (ws(origin("null")), 403),
        (get(site("cross-site")), 403),  # <img>
        (get(site("same-site")), 403),  # another port of this machine
        (get(site("surprise")), 403),
        (get(site("none"), site("cross-site")), 403),
        (get(site("cross-site"), LINK[1], ("sec-fetch-dest", "iframe")), 403),
        (get(site("cross-site"), ("sec-fetch-mode", "no-cors"), LINK[2]), 403),
        (post(*LINK), 403),  # a form
        (post(site("none")), 403),
        (post(site("same-site")), 403),
        (ws(*LINK), 403),
        (ws(site("cross-site")), 403),
        # bodies
        (post(("transfer-encoding", "chunked"), JSON), 411),
        (post(("transfer-encoding", "chunked"), body(2), JSON), 411),
        (post(body(2), JSON, ("content-encoding", "gzip")), 415),
        (post(body(2)), 415),
        (post(body(2), ("content-type", "text/plain")), 415),
        (post(body(2), ("content-type", "application/x-www-form-urlencoded")), 415),
        (post(body(2), ("content-type", "application/json-seq")), 415),
        (post(body(2), ("content-type", "text/plain; application/json")), 415),
        (post(body(2), JSON, JSON), 415),
        (post(body(MAX_BODY_BYTES + 1), JSON), 413),
        (post(body("9" * 4000), JSON), 413),
        (post(body("0" * 20 + "9" * 10), JSON), 413),
        (post(body(2), body(3), JSON), 400),
        (post(body("-1"), JSON), 400),
        (post(body("2, 2"), JSON), 400),
        (post(body("²"), JSON), 400),
        (get(body(2)), 415),
    ],
)  # fmt: skip
def test_refused(refused: Request, status: int) -> None:
    refusal = decide(refused, POLICY)
    assert refusal is not None
    assert refusal.status == status
    assert len(refusal.message) > 20


def bearer(value: str) -> Header:
    return ("authorization", value)


GIVEN = "s3cret-ü".encode().decode("latin-1")  # as its bytes arrive


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (get(bearer(f"Bearer {GIVEN}")), None),
        (get(bearer(f"bearer  {GIVEN}")), None),
        (ws(bearer(f"Bearer {GIVEN}")), None),
        (ws(target="/introspect?token=s3cret-%C3%BC"), None),
        (ws(target="/introspect?mode=x&token=s3cret-%C3%BC"), None),
        (get(target="/"), None),  # the page that asks for it
        (get(target="/app.js?v=1"), None),
        (get(), 401),
        (post(), 401),
        (get(bearer("")), 401),
        (get(bearer("Bearer")), 401),
        (get(bearer("Bearer wrong")), 401),
        (get(bearer(f"Bearer {GIVEN[:-1]}")), 401),
        (get(bearer(f"Basic {GIVEN}")), 401),
        (get(bearer(f"Bearer {GIVEN}"), bearer("Bearer wrong")), 401),
        (get(target="/api/snapshots?token=s3cret-%C3%BC"), 401),
        (get(target="//"), 401),
        (get(target="/%61pp.js"), 401),
        (request("POST", HOST, target="/"), 401),
        (ws(target="/"), 401),
        (ws(), 401),
        (ws(target="/introspect?token="), 401),
        (ws(target="/introspect?token=wrong"), 401),
        (ws(target="/introspect?token=s3cret-%C3%BC&token=wrong"), 401),
        (ws(target="/introspect?" + "&" * 1000 + "token=s3cret-%C3%BC"), 401),
        (get(bearer(f"Bearer {GIVEN}"), origin("http://evil.example")), 403),
        (request("GET", bearer(f"Bearer {GIVEN}")), 421),
    ],
)
def test_a_token_is_asked_of_everybody(asked: Request, status: int | None) -> None:
    refusal = decide(asked, TOKEN)
    assert (refusal and refusal.status) == status
    if status == 401:
        assert refusal is not None
        assert refusal.headers == ((b"www-authenticate", b'Bearer realm="peepsd"'),)
        assert "s3cret" not in refusal.message


@pytest.mark.parametrize(
    ("host", "local", "status"),
    [
        ("10.1.2.3:9130", "10.1.2.3", None),  # the address that was connected to
        ("[fe80::1]:9130", "fe80::1", None),
        ("peeps.lan:9130", "10.1.2.3", None),
        ("peeps.lan", "10.1.2.3", None),
        ("peeps.example.com:443", "10.1.2.3", None),
        ("localhost:9130", "127.0.0.1", None),
        ("10.1.2.4:9130", "10.1.2.3", 421),
        ("0.0.0.0:9130", "127.0.0.1", 421),
        ("peeps.example.com", "10.1.2.3", 421),
        ("peeps.example.com:9130", "10.1.2.3", 421),
        ("evil.example:9130", "evil.example", 421),  # no address: it can be rebound
        ("evil.example:9130", None, 421),
    ],
)
def test_beyond_loopback(host: str, local: str, status: int | None) -> None:
    refusal = decide(request("GET", ("host", host), local=local), WIDE)
    assert (refusal and refusal.status) == status


def test_an_origin_behind_a_proxy() -> None:
    asked = request("POST", ("host", "peeps.lan"), origin("https://peeps.lan"))
    assert decide(asked, WIDE) is None


def test_more_methods_can_be_allowed_and_are_treated_like_post() -> None:
    policy = Policy.listening_on("127.0.0.1", 9130, methods=("GET", "POST", "DELETE"))
    assert decide(request("DELETE", HOST), policy) is None
    refusal = decide(request("DELETE", HOST, *LINK), policy)
    assert refusal is not None
    assert refusal.status == 403
    refusal = decide(request("PUT", HOST), policy)
    assert refusal is not None
    assert refusal.headers == ((b"allow", b"GET, POST, DELETE"),)
