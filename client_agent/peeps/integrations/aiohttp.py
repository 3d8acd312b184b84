"""Shows the requests that an aiohttp client has under way.

    session = aiohttp.ClientSession(trace_configs=[peeps.integrations.aiohttp.trace_config()])

A request is under way until its response is closed or released. Of the URL only the path is told.
"""

from types import SimpleNamespace

import aiohttp

from . import calls
from .traceparent import HEADER


def trace_config() -> aiohttp.TraceConfig:
    """Hooks for one or more sessions."""
    config = aiohttp.TraceConfig()
    config.on_request_start.append(_started)
    config.on_request_redirect.append(_redirected)
    config.on_request_end.append(_answered)
    config.on_request_exception.append(_failed)
    return config


async def _started(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    parameters: aiohttp.TraceRequestStartParams,
) -> None:
    call = calls.begin_request(
        parameters.method, parameters.url.path, parameters.headers.get(HEADER)
    )
    context.peeps_call = call
    if call is not None:
        parameters.headers[HEADER] = str(call.parent)


async def _redirected(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    parameters: aiohttp.TraceRequestRedirectParams,
) -> None:
    """The same headers go to the next address: still one call."""


async def _answered(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    parameters: aiohttp.TraceRequestEndParams,
) -> None:
    call: calls.Call | None = context.peeps_call
    if call is not None:
        call.status = parameters.response.status
        call.lives_with(parameters.response)


async def _failed(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    parameters: aiohttp.TraceRequestExceptionParams,
) -> None:
    call: calls.Call | None = context.peeps_call
    if call is not None:
        call.end()
