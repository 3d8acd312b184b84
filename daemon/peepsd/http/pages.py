"""The page for people: three files, served as they are.

Decides which files there are and that a browser gets the page at `/`, everybody else the list
of routes. Refuses to know what the page shows.
"""

from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MEDIA_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
FILES = ("app.js", "style.css")
PUBLIC = frozenset({"/", *(f"/static/{name}" for name in FILES)})
"""Paths that need no token: the page has to be there to ask for it."""


def page_file(name: str) -> Response:
    """One file of the page, from the installed package."""
    content = (resources.files("peepsd") / "dashboard" / name).read_bytes()
    return Response(content, media_type=MEDIA_TYPES[name.rpartition(".")[2]])


def wants_page(request: Request) -> bool:
    """Whether a browser asks; curl and programs do not say text/html."""
    return "text/html" in request.headers.get("accept", "")


def page_routes() -> list[Route]:
    """The page's files."""

    async def serve(request: Request) -> Response:
        return page_file(request.url.path.rpartition("/")[2])

    return [Route(f"/static/{name}", serve, methods=["GET"]) for name in FILES]
