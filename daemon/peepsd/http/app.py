"""The ASGI application: each feature's routes under one error contract.

Decides what `GET /` says (a page to browsers, the routes to programs) and that every error is
JSON. Refuses to know what the features do, and who may ask (http.guard wraps this application).
"""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..errors import PeepsError
from .pages import page_file, page_routes, wants_page
from .responses import JsonResponse, on_exception, on_http_exception, on_peeps_error


def build_app(routes: Sequence[BaseRoute]) -> Starlette:
    """The application that serves `routes`, and an index of them at `/`."""

    async def index(request: Request) -> Response:
        if wants_page(request):
            return page_file("index.html")
        table = [
            f"{method} {route.path}"
            for route in routes
            if isinstance(route, Route) and route.include_in_schema
            for method in sorted((route.methods or set()) - {"HEAD"})
        ]
        return JsonResponse({"name": "peepsd", "routes": table})

    return Starlette(
        routes=[Route("/", index, methods=["GET"]), *page_routes(), *routes],
        exception_handlers={
            PeepsError: on_peeps_error,
            HTTPException: on_http_exception,
            Exception: on_exception,
        },
    )


def methods_at(routes: Sequence[BaseRoute], path: str) -> list[str]:
    """The methods that some route takes at `path`; none if there is no such path."""
    methods: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.path_regex.match(path):
            methods |= route.methods or set()
    return sorted(methods)
