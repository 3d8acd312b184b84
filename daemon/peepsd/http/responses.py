"""The shape of every answer: JSON, and {"error": what is wrong and what to do} when it is not
what was asked for. Decides nothing else; each error's status is its own (errors.py).
"""

from typing import Any

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..errors import BadRequest, PeepsError

log = structlog.get_logger("peepsd.http")


class JsonResponse(Response):
    """A JSON body, readable in a terminal."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """bytes are JSON already; everything else is encoded."""
        if isinstance(content, bytes):
            return content
        return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def error_response(
    message: str, status: int, *, hint: str | None = None, headers: Any = None
) -> JsonResponse:
    """{"error": …, "hint"?: …}"""
    body = {"error": message} | ({"hint": hint} if hint else {})
    return JsonResponse(body, status_code=status, headers=headers)


async def on_peeps_error(request: Request, exc: Exception) -> Response:
    """An error that explains itself."""
    assert isinstance(exc, PeepsError)
    headers = {"Retry-After": "1"} if exc.status == 429 else None
    return error_response(exc.message, exc.status, hint=exc.hint, headers=headers)


async def on_http_exception(request: Request, exc: Exception) -> Response:
    """No such path or method."""
    assert isinstance(exc, HTTPException)
    message = f"{request.method} {request.url.path}: {exc.detail}"
    hint = "GET / lists what there is" if exc.status_code == 404 else None
    return error_response(message, exc.status_code, hint=hint, headers=exc.headers)


async def on_exception(request: Request, exc: Exception) -> Response:
    """Our own mistake: the log has the traceback, the client no detail."""
    log.error("request failed", path=request.url.path, exc_info=exc)
    return error_response("an error of peepsd's own; its log tells more", 500)


async def json_object(request: Request) -> dict[str, Any]:
    """The request's body as a JSON object, {} if it is empty. Raises BadRequest."""
    body = await request.body()
    if not body:
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise BadRequest(f"the body is not JSON: {exc}") from None
    if not isinstance(value, dict):
        raise BadRequest("the body is not a JSON object")
    # JSON does not tell 5 from 5.0: a client whose numbers are all real may send either.
    return {
        name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in value.items()
    }


def reject_unknown(body: dict[str, Any], *known: str) -> None:
    """Raise BadRequest for a misspelt field: it must not silently mean nothing."""
    for name in body:
        if name not in known:
            raise BadRequest(f"unknown field {name!r}; known: {', '.join(known)}")
