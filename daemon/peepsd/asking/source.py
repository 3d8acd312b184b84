"""Where answers come from: a running daemon over HTTP, or a database file.

Decides how each question is asked of either; both give the same JSON. Refuses to know how answers
are shown. A file is opened read-only and never created.
"""

import os
from collections.abc import Mapping
from typing import Any, Protocol

import httpx
import orjson

from ..errors import Ambiguous, BadRequest, ConfigError, NotFound, PeepsError

DEFAULT_HTTP = "127.0.0.1:9130"
PATIENCE_S = 90.0

CONFIRM_AFTER_S = 0.5
"""Between the two looks that tell a deadlock from a moment."""

Json = dict[str, Any]
Arguments = Mapping[str, Any]


class Unreachable(PeepsError):
    """No daemon answers there."""


class Source(Protocol):
    """Answers questions about snapshots (store/questions.py lists them)."""

    is_live: bool

    def ask(self, question: str, **args: Any) -> Json:
        """The answer. Arguments that are None are as if not given. Raises PeepsError."""
        ...

    def jump(self, timeout_ms: int | None = None) -> Json:
        """Take a snapshot now; the summary of POST /api/jump-now."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...

    def connections(self) -> Json:
        """Who is connected."""
        ...


class FileSource:
    """A database file; nothing in it ever changes."""

    is_live = False

    def __init__(self, path: str) -> None:
        self._path = path

    def ask(self, question: str, **args: Any) -> Json:
        """See Source."""
        from ..store import questions

        answer: Json = orjson.loads(questions.answer(self._path, question, _given(args)))
        return answer

    def jump(self, timeout_ms: int | None = None) -> Json:
        """There is nobody to ask."""
        raise BadRequest("a snapshot needs a running peepsd, not a file: leave --db out")

    def close(self) -> None:
        """Files are opened for each question alone."""

    def connections(self) -> Json:
        """There is nobody connected."""
        raise BadRequest("connections are those of a running peepsd, not of a file: leave --db out")


Route = tuple[str, str, tuple[str, ...]]
"""Method, path, and which arguments go into the query string or the body."""

ROUTES: dict[str, Route] = {
    "why": ("GET", "/api/snapshots/{at}/why", ("subject", "confirm_with")),
    "deadlocks": ("GET", "/api/snapshots/{at}/deadlocks", ("confirm_with", "keep")),
    "blockers": ("GET", "/api/snapshots/{at}/blockers", ("limit",)),
    "check": ("GET", "/api/snapshots/{at}/check", ("confirm_with", "keep")),
    "tree": ("GET", "/api/snapshots/{at}/tree", ("process",)),
    "waits": ("GET", "/api/snapshots/{at}/waits", ("process", "limit")),
    "node": ("GET", "/api/snapshots/{at}/node", ("subject",)),
    "stuck": ("GET", "/api/snapshots/{at}/stuck", ("count",)),
    "export": ("GET", "/api/snapshots/{at}/export", ("format",)),
    "query": ("POST", "/api/query", ("name", "limit", "snapshot_id")),
    "sql": ("POST", "/api/sql", ("sql", "params", "snapshot_id")),
    "snapshots": ("GET", "/api/snapshots", ("limit", "before")),
    "events": ("GET", "/api/events", ("limit",)),
}


class LiveSource:
    """A daemon, asked over HTTP."""

    is_live = True

    def __init__(
        self,
        url: str,
        token: str | None = None,
        transport: httpx.BaseTransport | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url = url.rstrip("/")
        check_address(self._url)
        self._client = httpx.Client(
            base_url=self._url,
            headers=headers,
            timeout=httpx.Timeout(patience_s, connect=min(patience_s, 5.0)),
            transport=transport,
            trust_env=False,  # a proxy has no business between us and our own daemon
        )

    def ask(self, question: str, **args: Any) -> Json:
        """See Source."""
        args = _given(args)
        if question == "diff":
            return self._diff(args)
        method, path, names = ROUTES[question]
        at = args.get("snapshot_id")
        path = path.format(at="latest" if at is None else at)
        sent = {name: args[name] for name in names if name in args}
        if method == "POST":
            return self._request("POST", path, json=sent)
        if question == "export":
            response = self._send("GET", path, params=sent)
            return {"text": response.text, "content_type": response.headers["content-type"]}
        return self._request("GET", path, params=sent)

    def _diff(self, args: Json) -> Json:
        at = args.get("after", "latest")
        return self._request(
            "GET", f"/api/snapshots/{at}/diff", params=_given({"with": args.get("before")})
        )

    def jump(self, timeout_ms: int | None = None) -> Json:
        """See Source."""
        return self._request("POST", "/api/jump-now", json=_given({"timeout_ms": timeout_ms}))

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def connections(self) -> Json:
        """See Source."""
        return self._request("GET", "/api/connections")

    def _request(self, method: str, path: str, **how: Any) -> Json:
        answer: Json = self._send(method, path, **how).json()
        return answer

    def _send(self, method: str, path: str, **how: Any) -> httpx.Response:
        try:
            response = self._client.request(method, path, **how)
        except httpx.TimeoutException as exc:
            raise Unreachable(
                f"peepsd at {self._url} did not answer in time",
                hint="it may be busy with a very large snapshot; try again",
            ) from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise Unreachable(
                f"no peepsd answers at {self._url} ({exc})",
                hint="start one with `peepsd`, name another with --url,"
                " or read a file with --db peeps.sqlite",
            ) from exc
        if response.is_success:
            return response
        raise _refusal(response)


def _refusal(response: httpx.Response) -> PeepsError:
    try:
        body = response.json()
        message, hint = str(body["error"]), body.get("hint")
    except (ValueError, KeyError, TypeError):
        message, hint = f"HTTP {response.status_code} from {response.url}", None
    if response.status_code == 401 and hint is None:
        hint = "set PEEPS_TOKEN here as it is set for peepsd"
    kinds: dict[int, type[PeepsError]] = {400: BadRequest, 404: NotFound, 409: Ambiguous}
    return kinds.get(response.status_code, PeepsError)(message, hint=hint)


def _given(args: Arguments) -> Json:
    return {name: value for name, value in args.items() if value is not None}


def check_address(url: str) -> None:
    """Raises ConfigError for what can be no daemon's address."""
    why = ""
    try:
        parts = httpx.URL(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.host)
        if parts.port is not None and not 1 <= parts.port <= 65535:
            is_address = False
    except (httpx.InvalidURL, ValueError) as exc:
        is_address, why = False, f" ({exc})"
    if not is_address:
        raise ConfigError(
            f"{url!r} is no address of a daemon{why}",
            hint=f"write host:port, such as {DEFAULT_HTTP} (--url, PEEPS_URL, PEEPS_HTTP)",
        )


def default_url() -> str:
    """Where the daemon of this environment is: PEEPS_URL, or as its PEEPS_HTTP says."""
    if url := os.environ.get("PEEPS_URL"):
        return url
    address = os.environ.get("PEEPS_HTTP") or DEFAULT_HTTP
    host, _, port = address.rpartition(":")
    if host in ("", "0.0.0.0"):
        host = "127.0.0.1"
    elif host in ("[::]", "::"):
        host = "[::1]"
    return f"http://{host}:{port}"


def open_source(db: str | None, url: str | None, patience_s: float = PATIENCE_S) -> Source:
    """The file if one is named, else the daemon."""
    if db is not None:
        if url is not None:
            raise ConfigError("--db and --url exclude each other: a file, or a daemon")
        return FileSource(db)
    address = url or default_url()
    if "://" not in address:
        address = f"http://{address}"
    token = os.environ.get("PEEPS_TOKEN") or None
    return LiveSource(address, token, patience_s=patience_s)
