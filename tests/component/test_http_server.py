"""The server and the guard over real sockets: what Hypercorn lets through, and what we do not.

Requests are raw bytes, so that each test says exactly what a client may send.
"""

import base64
import json
import re
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio

from peepsd.http import connection as connection_module
from peepsd.http.guard import Guard, Policy
from peepsd.http.server import bound_address, hypercorn_config, listen, serve

LONG = 30.0


class App:
    """Behaves as the path says."""

    def __init__(self) -> None:
        self.began, self.done = 0, 0
        self.release = trio.Event()
        self.disconnects: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(scope, receive, send)
        if scope["type"] == "websocket":
            return await self._websocket(scope, receive, send)
        self.began += 1
        match scope["path"]:
            case "/wait":
                await self.release.wait()
            case "/raise":
                raise ValueError("a defect")
            case "/bad-header":
                await send(_start([(b"x", b"line\r\nbreak")]))
            case "/raise-late":
                await send(_start([]))
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                raise ValueError("a defect in the middle")
            case "/large":
                await send(_start([]))
                await send({"type": "http.response.body", "body": bytes(64 << 20)})
                self.done += 1
                return None
        body = (await receive())["body"]
        await send(_start([(b"content-length", str(len(body) + 2).encode())]))
        await send({"type": "http.response.body", "body": b"ok" + body})
        self.done += 1
        return None

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["started"] = True
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _websocket(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert scope["state"]["started"]
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.disconnects.append(message["code"])
                return
            if message.get("text") == "raise":
                raise ValueError("a defect")
            await send({"type": "websocket.send", "text": message["text"]})


def _start(headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": headers}


class Running:
    """A server on a free port."""

    def __init__(self, app: App, guard: Guard, port: int, stop: Callable[[], None]) -> None:
        self.app, self.guard, self.port, self.stop = app, guard, port, stop

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def say(self, raw: str | bytes) -> "Answer":
        """Send `raw`, in which HOST stands for our host and port, and read until the end."""
        data = raw if isinstance(raw, bytes) else raw.replace("\n", "\r\n").encode("latin-1")
        data = data.replace(b"HOST", f"127.0.0.1:{self.port}".encode())
        with trio.fail_after(LONG):
            async with await self.connect() as stream:
                await stream.send_all(data)
                return Answer(await read_all(stream))

    async def get(self, path: str = "/") -> "Answer":
        return await self.say(f"GET {path} HTTP/1.1\nHost: HOST\nConnection: close\n\n")

    async def until_served(self) -> None:
        """Until a place is free: connections too many are refused with 503."""
        with trio.fail_after(LONG):
            while (await self.get()).status != 200:  # noqa: ASYNC110
                await trio.sleep(0.01)

    def request(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode()


class Answer:
    """A response, taken apart."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        self.raw = raw
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if raw else 0
        self.headers = dict(line.lower().split(": ", 1) for line in lines[1:])

    @property
    def error(self) -> str:
        assert self.headers["content-type"] == "application/json"
        return str(json.loads(self.body)["error"])


async def read_all(stream: trio.SocketStream) -> bytes:
    data = b""
    try:
        async for chunk in stream:
            data += chunk
    except trio.BrokenResourceError:
        data += b"(reset)"
    return data


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[Running]:
    app = App()
    listeners = await listen("127.0.0.1", 0)
    host, port = bound_address(listeners)
    guard = Guard(app, Policy.listening_on(host, port))
    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def run(task_status: Any) -> None:
            with scope:
                await serve(guard, listeners, task_status=task_status, **options)

        assert await nursery.start(run) == (host, port)
        yield Running(app, guard, port, scope.cancel)
        app.release.set()
        scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(LONG):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.005)


POST_JSON = "POST / HTTP/1.1\nHost: HOST\nConnection: close\nContent-Type: application/json\n"


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        ("GET / HTTP/1.1\nHost: HOST\nConnection: close\n\n", 200, b"ok"),
        ("POST / HTTP/1.1\nHost: HOST\nAccept: */*\nConnection: close\n\n", 200, b"ok"),
        (POST_JSON + "Content-Length: 2\n\n{}", 200, b"ok{}"),
        ("GET / HTTP/1.0\nHost: HOST\n\n", 200, b"ok"),
        ("GET / HTTP/1.1\nhost:HOST\nConnection: close\n\n", 200, b"ok"),
        ("HEAD / HTTP/1.1\nHost: HOST\nConnection: close\n\n", 200, b""),
        (POST_JSON + "Expect: 100-continue\nContent-Length: 2\n\n{}", 100, None),
    ],
)
async def test_what_is_let_through(raw: str, status: int, body: bytes | None) -> None:
    async with running() as server:
        answer = await server.say(raw)
        assert answer.status == status
        if body is not None:
            assert answer.body == body
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "server" not in answer.headers
        else:
            assert answer.raw.endswith(b"ok{}")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("GET / HTTP/1.1\nConnection: close\n\n", 400),  # no Host: h11
        ("GET / HTTP/1.0\n\n", 421),  # which HTTP/1.0 allows: the guard
        ("GET / HTTP/1.1\nHost: HOST\nHost: HOST\n\n", 400),  # h11
        ("GET / HTTP/1.0\nHost: HOST\nHost: evil.example\n\n", 400),
        ("GET / HTTP/1.1\nHost: evil.example:9130\nConnection: close\n\n", 421),
        ("GET http://HOST/ HTTP/1.1\nHost: HOST\nConnection: close\n\n", 400),
        ("GET http://evil.example/ HTTP/1.1\nHost: HOST\nConnection: close\n\n", 400),
        ("OPTIONS * HTTP/1.1\nHost: HOST\nConnection: close\n\n", 400),
        ("OPTIONS / HTTP/1.1\nHost: HOST\nConnection: close\n\n", 405),
        ("CONNECT evil.example:443 HTTP/1.1\nHost: HOST\nConnection: close\n\n", 400),
        ("TRACE / HTTP/1.1\nHost: HOST\nConnection: close\n\n", 405),
        ("DELETE / HTTP/1.1\nHost: HOST\nConnection: close\n\n", 405),
        ("GET / HTTP/1.1\nHost: HOST\nOrigin: http://evil.example\nConnection: close\n\n", 403),
        (POST_JSON + "Transfer-Encoding: chunked\n\n2\n{}\n0\n\n", 411),
        (POST_JSON + "Transfer-Encoding: chunked\nContent-Length: 2\n\n2\n{}\n0\n\n", 411),
        (POST_JSON + "Transfer-Encoding: gzip, chunked\n\n", 501),  # h11
        (POST_JSON + "Content-Encoding: gzip\nContent-Length: 2\n\n{}", 415),
        (POST_JSON + "Content-Length: 131073\n\n", 413),
        (POST_JSON + "Content-Length: 99999999999999999999999\n\n", 400),  # h11
        (POST_JSON + "Content-Length: 2\nContent-Length: 3\n\n{}", 400),
        (POST_JSON + "Content-Length: -1\n\n", 400),
        (POST_JSON.replace("application/json", "text/plain") + "Content-Length: 2\n\n{}", 415),
        ("GET / HTTP/1.1\nHost: HOST\nX: " + "x" * 40_000 + "\n\n", 431),
        ("GET / HTTP/1.1\nHost: HOST\n" + "".join(f"X{i}: y\n" for i in range(9000)) + "\n", 431),
        ("GET /\x00 HTTP/1.1\nHost: HOST\n\n", 400),
        ("GET /\xff HTTP/1.1\nHost: HOST\n\n", 400),
        ("GET / HTTP/3.0\nHost: HOST\nConnection: close\n\n", 505),
        ("nonsense\n\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400),  # TLS
        ("GET /ws HTTP/1.1\nHost: HOST\nUpgrade: websocket\nConnection: upgrade\n\n", 400),
    ],
)
async def test_what_is_refused(raw: str, status: int) -> None:
    async with running() as server:
        answer = await server.say(raw)
        assert answer.status == status
        if "websocket" not in raw:  # an incomplete handshake is Hypercorn's to refuse
            assert len(answer.error) > 20
        assert server.app.began == 0
        assert (await server.get()).body == b"ok"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        # HTTP/1.1 says to ignore an upgrade that is not supported
        (("GET / HTTP/1.1\nHost: HOST\nUpgrade: h2c\nConnection: Upgrade, HTTP2-Settings, close\n"
          "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\n\n"), 200),
        ("PRI * HTTP/2.0\n\nSM\n\n", 505),
    ],
)  # fmt: skip
async def test_there_is_no_http2(raw: str, status: int) -> None:
    async with running() as server:
        answer = await server.say(raw)
        assert answer.status == status
        assert answer.raw.startswith(b"HTTP/1.1 ")


async def test_connections_are_kept_and_pipelined_requests_answered_in_order() -> None:
    async with running() as server:
        one = "GET / HTTP/1.1\nHost: HOST\n\n"
        answer = await server.say(one + one + one[:-1] + "Connection: close\n\n")
        assert answer.raw.count(b"HTTP/1.1 200") == 3
        assert answer.raw.count(b"\r\n\r\nok") == 3


async def test_a_refused_body_is_drained_so_that_the_reason_is_read() -> None:
    async with running() as server:
        head = POST_JSON + "Content-Length: 900000\n\n"
        answer = await server.say(head.replace("\n", "\r\n").encode() + bytes(900_000))
        assert answer.status == 413
        assert "(reset)" not in answer.raw.decode("latin-1")


async def test_a_refused_body_in_many_small_pieces_holds_nothing_up() -> None:
    async with running(max_connections=1) as server:
        pieces = "Transfer-Encoding: chunked\n\n" + "1\nx\n" * 50  # each a message of its own
        answer = await server.say(POST_JSON + pieces)
        assert answer.status == 411
        await server.until_served()


async def test_a_full_inbox_holds_the_client_up_but_not_the_news_that_it_is_gone() -> None:
    gone = {"type": "websocket.disconnect"}
    inbox = connection_module._Inbox(gone)
    for _ in range(connection_module.APP_QUEUE):
        await inbox.put({"type": "websocket.receive"})
    with trio.move_on_after(0.05) as held_up:
        await inbox.put({"type": "websocket.receive"})
    assert held_up.cancelled_caught
    with trio.fail_after(LONG):
        await inbox.put(gone)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(inbox.put, {"type": "websocket.receive"})
            await trio.testing.wait_all_tasks_blocked()
            await inbox.end()  # nobody reads: whoever waits may go


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_request_that_is_never_finished_is_not_waited_for(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "HEADER_DEADLINE_S", 0.2)
    async with running() as server, await server.connect() as stream:
        await stream.send_all(sent)
        with trio.fail_after(LONG):
            assert await read_all(stream) in (b"", b"(reset)")


async def test_trickling_a_head_does_not_extend_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_module, "HEADER_DEADLINE_S", 0.3)
    async with running() as server, await server.connect() as stream:
        with trio.fail_after(LONG), suppress(trio.BrokenResourceError):
            await stream.send_all(b"GET / HTTP/1.1\r\n")
            while True:
                await stream.send_all(b"X")
                await trio.sleep(0.02)


async def test_a_slow_answer_outlives_the_header_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "HEADER_DEADLINE_S", 0.2)
    async with running() as server, trio.open_nursery() as nursery:

        async def release_later() -> None:
            await trio.sleep(0.6)
            server.app.release.set()

        nursery.start_soon(release_later)
        assert (await server.get("/wait")).body == b"ok"


async def test_a_client_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "WRITE_DEADLINE_S", 0.2)
    async with running() as server, await server.connect() as stream:
        await stream.send_all(server.request("/large"))
        await until(lambda: server.app.done == 1)


async def test_one_connection_too_many_is_told_so() -> None:
    async with running(max_connections=2) as server:
        first, second = await server.connect(), await server.connect()
        answer = await server.get()
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert "too many connections" in answer.error
        await first.aclose()
        await second.aclose()
        await server.until_served()


async def test_a_request_goes_on_when_its_client_has_left() -> None:
    async with running() as server:
        stream = await server.connect()
        await stream.send_all(server.request("/wait"))
        await until(lambda: server.app.began == 1)
        await stream.aclose()
        server.app.release.set()
        await until(lambda: server.app.done == 1)


@pytest.mark.parametrize("path", ["/raise", "/bad-header", "/raise-late"])
async def test_a_defect_of_the_application_ends_its_own_connection_only(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running() as server:
        answer = await server.get(path)
        assert answer.status in (500, 200 if path == "/raise-late" else 500)
        assert (await server.get()).body == b"ok"
    assert "request failed" in "".join(capsys.readouterr())


async def test_stopping_lets_a_request_finish() -> None:
    async with running() as server, trio.open_nursery() as nursery:
        answers: list[Answer] = []

        async def ask() -> None:
            answers.append(await server.get("/wait"))

        nursery.start_soon(ask)
        await until(lambda: server.app.began == 1)
        idle = await server.connect()
        server.stop()
        with trio.fail_after(LONG):
            assert await read_all(idle) == b""  # at once, not after the grace
        with pytest.raises(OSError, match=r"refused|failed|reset|all attempts"):
            await server.connect()
        server.app.release.set()
        await until(lambda: bool(answers))
        assert answers[0].body == b"ok"
        await idle.aclose()


async def test_stopping_waits_for_nobody_longer_than_its_grace() -> None:
    with trio.fail_after(LONG):
        async with running(grace_s=0.2) as server:
            stuck, deaf = await server.connect(), await server.connect()
            await stuck.send_all(server.request("/wait"))
            await deaf.send_all(server.request("/large"))  # and never reads
            await until(lambda: server.app.began == 2)
            server.stop()
            await read_all(stuck)
    await stuck.aclose()
    await deaf.aclose()


# WebSocket


def upgrade(port: int, *extra: str) -> bytes:
    key = base64.b64encode(bytes(16)).decode()
    lines = ["GET /ws HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket",
             "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}",
             *extra, "", ""]  # fmt: skip
    return "\r\n".join(lines).encode()


def frame(payload: bytes, opcode: int = 1, *, flags: int = 0x80) -> bytes:
    """A masked frame, with a mask of zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xff" + size.to_bytes(8, "big")
    return bytes([flags | opcode]) + length + bytes(4) + payload


@asynccontextmanager
async def websocket(server: Running, *extra: str) -> AsyncIterator[tuple[trio.SocketStream, str]]:
    async with await server.connect() as stream:
        await stream.send_all(upgrade(server.port, *extra))
        with trio.fail_after(LONG):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += await stream.receive_some(1)
        yield stream, head.decode()


async def test_a_websocket_echoes_and_is_pinged() -> None:
    async with running() as server, websocket(server) as (stream, head):
        assert head.startswith("HTTP/1.1 101 ")
        with trio.fail_after(LONG):
            assert await stream.receive_some(2) == b"\x89\x00"
            await stream.send_all(frame(b"hello"))
            assert await stream.receive_some(100) == b"\x81\x05hello"


async def test_a_websocket_is_never_compressed() -> None:
    """One megabyte of zeros in a kilobyte would pass any limit on what arrives."""
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    async with running() as server, websocket(server, offer) as (stream, head):
        assert head.startswith("HTTP/1.1 101 ")
        assert "extensions" not in head.lower()
        bomb = zlib.compress(bytes(1 << 20))[2:-4]
        await stream.send_all(frame(bomb, flags=0xC0))
        with trio.fail_after(LONG):
            assert await read_all(stream) in (b"", b"\x89\x00")  # closed, and nothing echoed
        await until(lambda: len(server.app.disconnects) == 1)


async def test_a_message_over_64_kib_closes_the_websocket() -> None:
    assert hypercorn_config().websocket_max_message_size == 64 * 1024
    async with running() as server, websocket(server) as (stream, _):
        with trio.fail_after(LONG):
            await stream.receive_some(2)
            await stream.send_all(frame(b"x" * 65_537))
            closing = await stream.receive_some(100)
        assert closing[0] == 0x88
        assert int.from_bytes(closing[2:4], "big") == 1009


@pytest.mark.parametrize("extra", [frame(b"early"), b"garbage", frame(b"x" * 60_000) * 20])
async def test_talking_before_the_websocket_is_open_gains_nothing(extra: bytes) -> None:
    async with running(max_connections=1) as server:
        async with await server.connect() as stream:
            with trio.fail_after(LONG), suppress(trio.BrokenResourceError):
                await stream.send_all(upgrade(server.port) + extra)
                await stream.send_eof()
                await read_all(stream)
        await server.until_served()


async def test_a_websocket_that_is_no_valid_handshake_frees_its_place() -> None:
    async with running(max_connections=1) as server:
        ask = "GET /ws HTTP/1.1\nHost: HOST\nUpgrade: websocket\nConnection: upgrade\n\n"
        assert (await server.say(ask)).status == 400
        await server.until_served()


@pytest.mark.parametrize(
    "garbage",
    [bytes(range(256)), frame(b"x", 3), frame(b"\xff\xfe"), frame(b"", 0), b"\x81\x05hello"],
)
async def test_garbage_on_a_websocket_ends_it_alone(garbage: bytes) -> None:
    async with running() as server:
        async with websocket(server) as (stream, _):
            await stream.send_all(garbage + garbage)
            with trio.fail_after(LONG):
                await read_all(stream)
        await until(lambda: len(server.app.disconnects) == 1)
        assert (await server.get()).body == b"ok"


async def test_a_websocket_of_a_stranger_is_refused_with_a_reason() -> None:
    async with running() as server, await server.connect() as stream:
        await stream.send_all(upgrade(server.port, "Origin: http://evil.example"))
        with trio.fail_after(LONG):
            answer = Answer(await read_all(stream))
        assert answer.status == 403
        assert "evil.example" in answer.error


async def test_a_defect_in_a_websocket_ends_it_alone(capsys: pytest.CaptureFixture[str]) -> None:
    async with running() as server:
        async with websocket(server) as (stream, _):
            await stream.send_all(frame(b"raise"))
            with trio.fail_after(LONG):
                assert re.search(rb"\x88.\x03\xf3", await read_all(stream))  # 1011
        assert (await server.get()).body == b"ok"
    assert "a defect" in "".join(capsys.readouterr())


async def test_a_websocket_is_told_that_the_server_goes_away() -> None:
    async with running() as server, websocket(server) as (stream, _):
        with trio.fail_after(LONG):
            await stream.receive_some(2)
            server.stop()
            said = await read_all(stream)
        assert int.from_bytes(said[2:4], "big") == 1001
        await until(lambda: len(server.app.disconnects) == 1)


async def test_a_websocket_whose_client_vanished_frees_its_place() -> None:
    async with running(max_connections=1) as server:
        async with websocket(server):
            pass
        await until(lambda: len(server.app.disconnects) == 1)
        await server.until_served()


async def test_on_every_address_the_one_that_was_connected_to_is_ours() -> None:
    listeners = await listen("0.0.0.0", 0)
    port = bound_address(listeners)[1]
    guard = Guard(App(), Policy.listening_on("0.0.0.0", port))
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, guard, listeners)
        for host, status in [("127.0.0.2", 200), ("127.0.0.3", 421), ("0.0.0.0", 421)]:
            async with await trio.open_tcp_stream("127.0.0.2", port) as stream:
                ask = f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
                await stream.send_all(ask.encode())
                assert Answer(await read_all(stream)).status == status
        nursery.cancel_scope.cancel()


async def test_port_zero_listens_on_one_port_even_for_a_name_with_two_addresses() -> None:
    listeners = await listen("localhost", 0)
    assert len(listeners) == 1
    assert bound_address(listeners)[1] > 0
    for listener in listeners:
        await listener.aclose()
