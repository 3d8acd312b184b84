"""Shows the requests that an httpx client has under way.

    client = peeps.integrations.httpx.instrument(httpx.AsyncClient())
    client = httpx.Client(transport=peeps.integrations.httpx.Transport(httpx.HTTPTransport()))

A request is under way until its response is closed. Works for clients of both sorts, on asyncio,
trio and in threads. Of the URL only the path is told.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

import httpx

from . import calls
from .traceparent import HEADER

Client = TypeVar("Client", httpx.Client, httpx.AsyncClient)


class AsyncTransport(httpx.AsyncBaseTransport):
    """Wraps a transport of an AsyncClient."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call = _begin(request)
        if call is None:
            return await self.inner.handle_async_request(request)
        try:
            response = await self.inner.handle_async_request(request)
        except BaseException:
            call.end()
            raise
        _answered(call, response)
        if isinstance(response.stream, httpx.AsyncByteStream) and not response.is_closed:
            response.stream = _AsyncStream(response.stream, call)
        return response

    async def __aenter__(self) -> "AsyncTransport":
        await self.inner.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.inner.__aexit__(*exc)

    async def aclose(self) -> None:
        await self.inner.aclose()


class Transport(httpx.BaseTransport):
    """Wraps a transport of a Client."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        call = _begin(request)
        if call is None:
            return self.inner.handle_request(request)
        try:
            response = self.inner.handle_request(request)
        except BaseException:
            call.end()
            raise
        _answered(call, response)
        if isinstance(response.stream, httpx.SyncByteStream) and not response.is_closed:
            response.stream = _Stream(response.stream, call)
        return response

    def __enter__(self) -> "Transport":
        self.inner.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.inner.__exit__(*exc)

    def close(self) -> None:
        self.inner.close()


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, call: calls.Call) -> None:
        self._inner = inner
        self._call = call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            yield chunk

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._call.end()


class _Stream(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, call: calls.Call) -> None:
        self._inner = inner
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        yield from self._inner

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._call.end()


def instrument(client: Client) -> Client:
    """Wrap all transports of a client, its proxies' included. Returns the client."""
    wrap: Any = AsyncTransport if isinstance(client, httpx.AsyncClient) else Transport
    inside: Any = client
    inside._transport = _once(wrap, inside._transport)
    inside._mounts = {
        pattern: None if transport is None else _once(wrap, transport)
        for pattern, transport in inside._mounts.items()
    }
    return client


def _once(wrap: Any, transport: Any) -> Any:
    return transport if isinstance(transport, wrap) else wrap(transport)


def _begin(request: httpx.Request) -> calls.Call | None:
    call = calls.begin_request(request.method, request.url.path, request.headers.get(HEADER))
    if call is not None:
        request.headers[HEADER] = str(call.parent)
    return call


def _answered(call: calls.Call, response: httpx.Response) -> None:
    """A response that nobody closes ends with its object; one that came whole has ended."""
    call.status = response.status_code
    call.lives_with(response)
    if response.is_closed:
        call.end()
