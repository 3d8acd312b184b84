"""The description of the HTTP API, served at /api/openapi.json (OpenAPI 3.1).

Decides words and shapes; a test holds that every route of the daemon is in it and that what the
daemon answers is what it says. Refuses to know handlers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from peeps.wire.limits import MAX_TIMEOUT_MS

from .openapi_schemas import BOOLEAN, ID, Schema, an_object, array, components, or_null, ref
from .responses import JsonResponse

FORMATS = ("dot", "graphml", "mermaid", "json", "perfetto", "speedscope")

_WORDS: Schema = {"type": "string", "minLength": 1, "maxLength": 1000}

_AT = {
    "name": "snapshot_id",
    "in": "path",
    "required": True,
    "description": "a snapshot's number, or `latest`",
    "schema": {"anyOf": [ID, {"const": "latest"}]},
}

ERRORS: Mapping[int, str] = {
    400: "the request is not well-formed; the body says how",
    401: "a token is needed (Authorization: Bearer ...)",
    403: "the request comes from a page of somebody else",
    404: "there is no such snapshot, node, process or query",
    409: "the name fits several nodes or processes; the body lists them",
    413: "the body, or what would be the answer, is too large",
    415: "the body must be application/json",
    421: "the Host is none of this daemon's",
    429: "too much at once; trying again helps",
    503: "nobody is connected, or the database cannot be read",
}

ALWAYS = (400, 401, 403, 413, 415, 421, 429, 503)


def _query(name: str, schema: Schema, description: str, required: bool = False) -> Schema:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": description,
        "schema": schema,
    }


def _between(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


_SUBJECT = "a node's id, the name of a task or thread, a process, or PROCESS/NAME"
_CONFIRM = _query("confirm_with", ID, "another snapshot; what is in both is confirmed")
_KEEP = _query("keep", BOOLEAN, "keep what the other snapshot does not confirm")
_PROCESS = _query("process", _WORDS, "a process by name or proc_key")

ANSWERS: dict[str, tuple[str, str, list[Schema]]] = {
    # path's end: (summary, schema of the answer, parameters)
    "why": (
        "Why something does not go on; by default the worst there is",
        "Why",
        [_query("subject", _WORDS, _SUBJECT), _CONFIRM],
    ),
    "deadlocks": ("Deadlocks, and who waits behind each", "Deadlocks", [_CONFIRM, _KEEP]),
    "blockers": (
        "What most others wait for",
        "Blockers",
        [_query("limit", _between(1, 1000), "how many; default 20")],
    ),
    "check": ("Everything that is wrong, the gravest first", "Check", [_CONFIRM, _KEEP]),
    "tree": ("Task groups, tasks and threads as a tree", "Tree", [_PROCESS]),
    "waits": (
        "Who waits for what",
        "Waits",
        [_PROCESS, _query("limit", _between(1, 100_000), "how many; default 500")],
    ),
    "node": (
        "One node with its stack and edges",
        "NodeDetails",
        [_query("subject", _WORDS, _SUBJECT, required=True)],
    ),
    "diff": (
        "What changed since an earlier snapshot; by default the one before",
        "Diff",
        [_query("with", ID, "the snapshot to compare with")],
    ),
    "stuck": (
        "What waits on the same thing in each of the last snapshots",
        "Stuck",
        [_query("count", _between(2, 100), "how many snapshots; default 3")],
    ),
}


def _operation(
    summary: str,
    answer: Schema | None,
    *,
    parameters: Sequence[Schema] = (),
    body: Schema | None = None,
    errors: Sequence[int] = (),
    content_type: str = "application/json",
) -> Schema:
    error = {"application/json": {"schema": ref("Error")}}
    found = {content_type: {"schema": answer or {}}}
    operation: Schema = {
        "summary": summary,
        "responses": {
            "200": {"description": "the answer", "content": found},
            **{
                str(status): {"description": ERRORS[status], "content": error}
                for status in sorted({*ALWAYS, *errors})
            },
        },
    }
    if parameters:
        operation["parameters"] = list(parameters)
    if body is not None:
        operation["requestBody"] = {
            "required": "required" in body and bool(body["required"]),
            "content": {"application/json": {"schema": body}},
        }
    return operation


def _body(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {**an_object(required, **optional), "additionalProperties": False}


_LATEST = or_null(ID) | {"description": "default: the latest"}
_VALUE = {"type": ["null", "boolean", "integer", "number", "string"]}
_PARAMS = or_null(array(_VALUE) | {"maxItems": 100})
_SQL = {"type": "string", "minLength": 1, "description": "one SELECT"}

_READS: dict[str, Schema] = {
    "/": _operation("The routes there are", ref("Index")),
    "/health": _operation("Whether the daemon lives", ref("Health")),
    "/metrics": _operation("Numbers for Prometheus", {"type": "string"}, content_type="text/plain"),
    "/api/openapi.json": _operation("This description", {"type": "object"}),
    "/api/connections": _operation("The processes that are connected now", ref("Connections")),
    "/api/snapshots": _operation(
        "Stored snapshots, newest first",
        ref("Snapshots"),
        parameters=[
            _query("limit", _between(1, 1000), "how many; default 50"),
            _query("before", ID, "only those with smaller numbers"),
        ],
    ),
    "/api/events": _operation(
        "What was received and could not be used, newest first",
        ref("Events"),
        parameters=[_query("limit", _between(1, 10_000), "how many; default 50")],
    ),
    "/api/snapshots/{snapshot_id}": _operation(
        "One snapshot and how each process ended in it",
        ref("Snapshot"),
        parameters=[{**_AT, "description": "a snapshot's number", "schema": ID}],
        errors=[404],
    ),
}

_POSTS: dict[str, Schema] = {
    "/api/jump-now": _operation(
        "Take a snapshot of every connected process now",
        ref("Summary"),
        body=_body({}, timeout_ms=_between(1, MAX_TIMEOUT_MS)),
    ),
    "/api/sql": _operation(
        "One read-only statement over one snapshot",
        ref("Rows"),
        body=_body({"sql": _SQL}, params=_PARAMS, snapshot_id=_LATEST),
        errors=[404],
    ),
    "/api/query": _operation(
        "A named query over one snapshot",
        ref("Rows"),
        body=_body({"name": {"type": "string"}}, limit=_between(1, 5000), snapshot_id=_LATEST),
        errors=[404],
    ),
}


def _paths() -> dict[str, Any]:
    of_snapshots = {
        name: _operation(summary, ref(schema), parameters=[_AT, *parameters], errors=[404, 409])
        for name, (summary, schema, parameters) in ANSWERS.items()
    }
    of_snapshots["export"] = _export()
    gets = _READS | {
        f"/api/snapshots/{{snapshot_id}}/{name}": operation
        for name, operation in of_snapshots.items()
    }
    return {path: {"get": operation} for path, operation in gets.items()} | {
        path: {"post": operation} for path, operation in _POSTS.items()
    }


def _export() -> Schema:
    operation = _operation(
        "The snapshot for other tools",
        None,
        parameters=[_AT, _query("format", {"enum": list(FORMATS)}, "default: json")],
        errors=[404],
    )
    types = ("application/json", "application/graphml+xml", "text/vnd.graphviz", "text/vnd.mermaid")
    operation["responses"]["200"]["content"] = {name: {} for name in types}
    return operation


def describe(version: str) -> Schema:
    """The description, for this version of peeps."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "peepsd",
            "version": version,
            "description": "What is every process doing, and what is it waiting for, right now?",
        },
        "paths": _paths(),
        "components": {"schemas": components()},
    }


def route(version: str) -> Route:
    """GET /api/openapi.json"""
    described = describe(version)

    async def openapi(request: Request) -> Response:
        return JsonResponse(described)

    return Route("/api/openapi.json", openapi, methods=["GET"])
