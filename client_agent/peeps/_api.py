"""The public functions. Decides what they do while the agent is off: nothing, at no cost.

Everything heavy is imported when the agent starts, so that a program which imports peeps and
never starts it has loaded this file and nothing else.
"""

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .agent_thread import Agent
    from .registry import Edge, Node, Registry

F = TypeVar("F", bound=Callable[..., Any])


class _Off:
    """Stands in for nodes and edges while the agent is off: takes everything, does nothing."""

    __slots__ = ()
    ref = None

    def set(self, **attrs: Any) -> None: ...

    def remove(self) -> None: ...

    def __enter__(self) -> "_Off":
        return self

    def __exit__(self, *_: object) -> None: ...

    def __bool__(self) -> bool:
        return False


OFF = _Off()
_agent: "Agent | None" = None
_registry: "Registry | None" = None
_why_off = "PEEPS_DASHBOARD is not set"


def start(
    process_name: str | None = None, *, dashboard: str | None = None, _now: bool = True
) -> bool:
    """Start the agent, if it does not run; whether it does now. Never raises.

    `dashboard` is host:port of the daemon (default: PEEPS_DASHBOARD; unset means off),
    `process_name` how this process is called (default: PEEPS_PROCESS_NAME, or the program's
    name). Called on a running agent it only renames the process if a name is given.
    """
    global _agent, _registry, _why_off
    try:
        if _agent is not None:
            if process_name and process_name != _agent.identity.name:
                _agent.rename(process_name)
            return True
        import os

        from . import __version__
        from .config import ConfigError, read_config

        env = dict(os.environ)
        if dashboard is not None:
            env["PEEPS_DASHBOARD"] = dashboard
        if process_name:
            env["PEEPS_PROCESS_NAME"] = process_name
        try:
            config = read_config(env)
        except ConfigError as exc:
            _why_off = str(exc)
            return False
        if config is None:
            _why_off = "PEEPS_DASHBOARD is not set"
            return False
        from .agent_thread import Agent
        from .fork import keep_alive_across_forks
        from .registry import Registry

        _registry = Registry()
        _agent = Agent(config, _registry, __version__)
        keep_alive_across_forks(_agent)
        if _now:
            _agent.start()
    except Exception as exc:  # a guest never breaks its host
        _agent = _registry = None
        _why_off = f"the agent could not start: {type(exc).__name__}: {exc}"
        return False
    return True


def start_in_children() -> None:
    """Have every forked child start the agent, but not this process. Never raises."""
    start(_now=False)


def stop() -> None:
    """End the agent: the connection, the thread, everything registered. Never raises."""
    global _agent, _registry, _why_off
    agent, _agent, _registry = _agent, None, None
    _why_off = "peeps.stop() was called"
    if agent is None:
        return
    try:
        from .fork import let_go

        let_go()
        agent.stop()
    except Exception as exc:
        _why_off += f" ({type(exc).__name__})"


def status() -> dict[str, Any]:
    """What the agent is doing: {"state": "off" | "connecting" | "connected", "reason", ...}.

    "reason" tells why it is off or not connected; None when all is well.
    """
    agent = _agent
    if agent is None:
        return {"state": "off", "reason": _why_off}
    return {
        "state": agent.state,
        "reason": agent.last_error,
        "process": agent.identity.name,
        "pid": agent.identity.pid,
        "dashboard": agent.config.dashboard,
        "snapshots_sent": agent.snapshots_sent,
    }


def node(kind: str, label: str = "", *, of: object = None, **attrs: Any) -> Any:
    """Add a node of your own to every snapshot, until `remove()` is called on the result.

    `kind` is any word (docs/data-model.md has the known ones). With `of`, the node goes when
    that object goes. Attributes are numbers, short texts, booleans; they are sent, so put no
    secrets in. The result is a context manager, and has `set(**attrs)`.
    """
    registry = _registry
    return OFF if registry is None else registry.add_node(kind, label, of, **attrs)


def edge(src: Any, dst: Any, kind: str = "needs", **attrs: Any) -> Any:
    """Add an edge between two nodes, or between named objects, until `remove()` is called.

    `src` and `dst` are results of `node()`; None stands for the task or thread that calls.
    """
    registry = _registry
    if registry is None:
        return OFF
    from .registry import current_ref

    src_ref = current_ref() if src is None else getattr(src, "ref", None)
    dst_ref = current_ref() if dst is None else getattr(dst, "ref", None)
    if src_ref is None or dst_ref is None:
        return OFF
    return registry.add_edge(src_ref, dst_ref, kind, **attrs)


def name(obj: Any, text: str) -> Any:
    """Give a lock, a queue, any object that shows in the graph a name. Returns the object."""
    registry = _registry
    if registry is not None:
        registry.set_name(obj, text)
    return obj


def waiting_for(node: Any) -> AbstractContextManager[Any]:
    """While inside, the calling task or thread needs `node` (a result of `node()`)."""
    if _registry is None or getattr(node, "ref", None) is None:
        return nullcontext()
    return edge(None, node, "needs", registered=True)  # type: ignore[no-any-return]


def span(label: str | Callable[..., Any] | None = None, kind: str = "span") -> Any:
    """Decorator: while the function runs, a node shows it, touched by the task or thread that
    runs it. Works on functions and coroutine functions.

    Without a label the function's name is used: `@peeps.span` or `@peeps.span("import")`.
    """
    if callable(label):
        return _spanned(label, label.__qualname__, kind)
    return lambda function: _spanned(function, label or function.__qualname__, kind)


def _spanned(function: F, label: str, kind: str) -> F:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            if _registry is None:
                return await function(*args, **kwargs)
            with _Span(kind, label):
                return await function(*args, **kwargs)

        return run_async  # type: ignore[return-value]

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if _registry is None:
            return function(*args, **kwargs)
        with _Span(kind, label):
            return function(*args, **kwargs)

    return run  # type: ignore[return-value]


class _Span:
    """A node and the edge from whoever runs it."""

    __slots__ = ("_edge", "_kind", "_label", "_node")

    def __init__(self, kind: str, label: str) -> None:
        self._kind = kind
        self._label = label
        self._node: Node | _Off = OFF
        self._edge: Edge | _Off = OFF

    def __enter__(self) -> None:
        self._node = node(self._kind, self._label)
        self._edge = edge(None, self._node, "touches", relation="runs")

    def __exit__(self, *_: object) -> None:
        self._edge.remove()
        self._node.remove()


def running_agent() -> "Agent | None":
    """The agent of this process, for tests."""
    return _agent
