"""Answers over HTTP: why, deadlocks, blockers, check, tree, waits, node, diff, stuck, export,
events, and named queries.

Decides what a well-formed question is. Refuses to know how it is answered: `ask` is handed in.
Wherever a path has a snapshot's id it may say `latest`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import BadRequest
from .numbers import MAX_ID, digits, snapshot_number
from .responses import JsonResponse, json_object, reject_unknown

MAX_TEXT = 1000

Parse = Callable[[str, str], Any]
"""(name, text) to a value. Raises BadRequest."""


def whole(low: int, high: int) -> Parse:
    """A whole number within bounds."""

    def parse(name: str, text: str) -> int:
        value = digits(text)
        if value is None or not low <= value <= high:
            raise BadRequest(f"?{name}= must be a whole number from {low} to {high}")
        return value

    return parse


def words(name: str, text: str) -> str:
    """Some text."""
    if not 0 < len(text) <= MAX_TEXT:
        raise BadRequest(f"?{name}= must be 1 to {MAX_TEXT} characters")
    return text


def flag(name: str, text: str) -> bool:
    """true or false."""
    if text not in ("true", "false", "True", "False", "1", "0"):
        raise BadRequest(f"?{name}= must be true or false")
    return text in ("true", "True", "1")


ID = whole(1, MAX_ID)


@dataclass(frozen=True, slots=True)
class Question:
    """One question: its parameters by name in the query string, as (argument, parser)."""

    name: str
    parameters: Mapping[str, tuple[str, Parse]]
    required: tuple[str, ...] = ()
    snapshot: str = "snapshot_id"
    """The argument that the path's snapshot becomes."""


QUESTIONS = (
    Question("why", {"subject": ("subject", words), "confirm_with": ("confirm_with", ID)}),
    Question("deadlocks", {"confirm_with": ("confirm_with", ID), "keep": ("keep", flag)}),
    Question("blockers", {"limit": ("limit", whole(1, 1000))}),
    Question("check", {"confirm_with": ("confirm_with", ID), "keep": ("keep", flag)}),
    Question("tree", {"process": ("process", words)}),
    Question("waits", {"process": ("process", words), "limit": ("limit", whole(1, 100_000))}),
    Question("node", {"subject": ("subject", words)}, ("subject",)),
    Question("diff", {"with": ("before", ID)}, snapshot="after"),
    Question("stuck", {"count": ("count", whole(2, 100))}),
    Question("export", {"format": ("format", words)}),
)


EVENTS = Question("events", {"limit": ("limit", whole(1, 10_000))})
"""About no snapshot: what was received from strangers belongs to none."""


@dataclass(frozen=True, slots=True)
class AnswersApi:
    """`ask` answers a question about stored snapshots."""

    ask: Callable[[str, Mapping[str, Any]], Awaitable[bytes]]

    def routes(self) -> list[Route]:
        """The table of answers."""
        found = [
            Route(
                f"/api/snapshots/{{snapshot_id}}/{question.name}",
                self._endpoint(question),
                methods=["GET"],
            )
            for question in QUESTIONS
        ]
        return [
            *found,
            Route("/api/events", self.events, methods=["GET"]),
            Route("/api/query", self.run_query, methods=["POST"]),
        ]

    def _endpoint(self, question: Question) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            args = read_arguments(question, request)
            if question.name != "export":
                return JsonResponse(await self.ask(question.name, args))
            args.setdefault("format", "json")
            found = orjson.loads(await self.ask("export", args))
            return Response(found["text"], media_type=found["content_type"])

        return endpoint

    async def events(self, request: Request) -> Response:
        """What was received and could not be used, the newest first."""
        return JsonResponse(await self.ask("events", read_query(EVENTS, request)))

    async def run_query(self, request: Request) -> Response:
        """A named query over one snapshot."""
        body = await json_object(request)
        reject_unknown(body, "name", "limit", "snapshot_id")
        if not isinstance(body.get("name"), str):
            raise BadRequest('"name" is missing: the name of a query, as `peeps query` lists them')
        limit = body.get("limit", 100)
        if type(limit) is not int or not 1 <= limit <= 5000:
            raise BadRequest('"limit" must be a whole number from 1 to 5000')
        wanted = body.get("snapshot_id")
        if wanted is not None and (type(wanted) is not int or not 0 < wanted <= MAX_ID):
            raise BadRequest("snapshot_id must be an integer, as GET /api/snapshots shows it")
        args = {"name": body["name"], "limit": limit, "snapshot_id": wanted}
        return JsonResponse(await self.ask("query", args) + b"\n")


def read_arguments(question: Question, request: Request) -> dict[str, Any]:
    """The arguments of a question. Raises BadRequest, NotFound."""
    args = read_query(question, request)
    wanted = request.path_params["snapshot_id"]
    if wanted != "latest":
        args[question.snapshot] = snapshot_number(wanted)
    return args


def read_query(question: Question, request: Request) -> dict[str, Any]:
    """The arguments in the query string. Raises BadRequest."""
    args: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        if name not in question.parameters:
            known = ", ".join(question.parameters) or "none"
            raise BadRequest(f"unknown parameter {name!r}; known: {known}")
        argument, parse = question.parameters[name]
        if argument in args:
            raise BadRequest(f"?{name}= is given twice")
        args[argument] = parse(name, text)
    for name in question.required:
        if question.parameters[name][0] not in args:
            raise BadRequest(f"?{name}= is missing")
    return args
