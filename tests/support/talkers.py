"""Clients and servers of many libraries, one stuck on the other: a program, not a test.

`python talkers.py SIDE KIND PORT` prints "ready PORT"; at each line on standard input it prints
the graph of itself as one line of JSON.
"""

import asyncio
import json
import os
import socket
import sys
import threading
from typing import Any


async def _hang() -> None:
    await asyncio.Event().wait()


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def ready(port: int) -> None:
    print("ready", port, flush=True)


def answer_questions() -> None:
    from peeps.snapshot import snapshot_dict

    for _ in sys.stdin:
        print(json.dumps(snapshot_dict("talker")), flush=True)
    os._exit(0)


def run(main: Any) -> None:
    if os.environ.get("TALKER_LOOP") == "uvloop":
        import uvloop

        uvloop.run(main)
    else:
        asyncio.run(main)


# ------------------------------------------------------------------ servers

HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await handler_that_hangs()


async def handler_that_hangs() -> None:
    await _hang()


async def handler_that_hangs_in_trio() -> None:
    import trio

    await trio.sleep_forever()


async def asgi_app_trio(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await asgi_app(scope, receive, send)
    await handler_that_hangs_in_trio()


def serve_streams() -> None:
    async def handle(reader: Any, writer: Any) -> None:
        await reader.readline()
        await handler_that_hangs()

    async def main() -> None:
        server = await asyncio.start_server(handle, sock=(sock := listening()))
        ready(sock.getsockname()[1])
        await server.serve_forever()

    run(main())


def serve_listeners() -> None:
    """Both ends of each connection listen: idle, as a chat is."""

    async def main() -> None:
        server = await asyncio.start_server(listen_and_answer, sock=(sock := listening()))
        ready(sock.getsockname()[1])
        await server.serve_forever()

    run(main())


async def listen_and_answer(reader: Any, writer: Any) -> None:
    while line := await reader.readline():
        writer.write(line)


def serve_sink() -> None:
    """Threads that read whatever comes."""
    server = listening()
    ready(server.getsockname()[1])
    while True:
        connection, _ = server.accept()
        threading.Thread(target=read_it_all, args=(connection,), daemon=True).start()


def read_it_all(connection: socket.socket) -> None:
    while connection.recv(1 << 16):
        pass


def serve_uvicorn(http: str) -> None:
    import uvicorn

    sock = listening()
    config = uvicorn.Config(asgi_app, http=http, log_level="error", lifespan="off")
    ready(sock.getsockname()[1])
    run(uvicorn.Server(config).serve(sockets=[sock]))


def serve_h11() -> None:
    serve_uvicorn("h11")


def serve_httptools() -> None:
    serve_uvicorn("httptools")


def serve_starlette() -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Route

    async def endpoint(request: Any) -> None:
        await handler_that_hangs()

    app = Starlette(routes=[Route("/", endpoint)])
    sock = listening()
    config = uvicorn.Config(app, log_level="error")
    ready(sock.getsockname()[1])
    run(uvicorn.Server(config).serve(sockets=[sock]))


def serve_integrated() -> None:
    import uvicorn

    import peeps
    from peeps.integrations.asgi import Middleware

    peeps.start(dashboard="127.0.0.1:9")
    sock = listening()
    config = uvicorn.Config(Middleware(asgi_app), log_level="error", lifespan="off")
    ready(sock.getsockname()[1])
    run(uvicorn.Server(config).serve(sockets=[sock]))


def serve_nobody() -> None:
    """Listens, and accepts nobody."""
    server = listening()
    ready(server.getsockname()[1])
    threading.Event().wait()


def serve_aiohttp() -> None:
    from aiohttp import web

    async def handle(request: Any) -> None:
        await handler_that_hangs()

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        sock = listening()
        await web.SockSite(runner, sock).start()
        ready(sock.getsockname()[1])
        await _hang()

    run(main())


def _hypercorn_config() -> Any:
    from hypercorn.config import Config

    sock = listening()
    config = Config()
    config.bind = [f"fd://{sock.detach()}"]
    config.errorlog = None
    port = socket.socket(fileno=os.dup(int(config.bind[0][5:]))).getsockname()[1]
    ready(port)
    return config


def serve_hypercorn() -> None:
    from hypercorn.asyncio import serve

    run(serve(asgi_app, _hypercorn_config()))


def serve_hypercorn_trio() -> None:
    import trio
    from hypercorn.trio import serve

    trio.run(serve, asgi_app_trio, _hypercorn_config())


def serve_trio() -> None:
    import trio

    async def handle(stream: Any) -> None:
        await stream.receive_some(100)
        await handler_that_hangs_in_trio()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, handle, 0)
            ready(listeners[0].socket.getsockname()[1])

    trio.run(main)


def serve_threads() -> None:
    import socketserver

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(100)
            handler_that_hangs_in_a_thread()

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    ready(server.server_address[1])
    server.serve_forever()


def handler_that_hangs_in_a_thread() -> None:
    threading.Event().wait()


def serve_silence() -> None:
    """Accepts, and reads, and never says a word: as a database that hangs, without the agent."""
    server = listening()
    ready(server.getsockname()[1])
    kept = []
    while True:
        connection, _ = server.accept()
        kept.append(connection)
        threading.Thread(target=lambda c=connection: c.recv(1 << 20), daemon=True).start()


# ------------------------------------------------------------------ clients


async def call_streams(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await writer.drain()
    await reader.readline()


async def call_listener(port: int) -> None:
    reader, _writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()


def call_sender(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while True:
            connection.sendall(bytes(10_000))


def call_full(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(bytes(64_000_000))


async def call_httpx(port: int) -> None:
    import httpx

    async with httpx.AsyncClient(timeout=None) as client:
        await client.get(f"http://127.0.0.1:{port}/")


async def call_integrated(port: int) -> None:
    import httpx

    import peeps
    from peeps.integrations.httpx import instrument

    peeps.start(dashboard="127.0.0.1:9")
    async with instrument(httpx.AsyncClient(timeout=None)) as client:
        await client.get(f"http://127.0.0.1:{port}/")


async def call_aiohttp(port: int) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/"):
        pass


async def call_redis(port: int) -> None:
    import redis.asyncio

    await redis.asyncio.Redis(port=port).get("key")


async def call_asyncpg(port: int) -> None:
    import asyncpg

    await asyncpg.connect(host="127.0.0.1", port=port, user="u", database="d", ssl=False)


async def call_trio(port: int) -> None:
    import trio

    stream = await trio.open_tcp_stream("127.0.0.1", port)
    await stream.send_all(b"hello\n")
    await stream.receive_some(100)


def call_thread(port: int) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/")
    connection.getresponse()


def main(side: str, kind: str, port: int) -> None:
    threading.Thread(target=answer_questions, name="questions", daemon=True).start()
    if side == "server":
        globals()[f"serve_{kind}"]()
        return
    call = globals()[f"call_{kind.removesuffix('_on_trio')}"]
    ready(port)
    if kind in ("thread", "sender", "full"):
        call(port)
    elif kind in ("trio", "httpx_on_trio"):
        import trio

        trio.run(call, port)
    else:
        run(call(port))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
