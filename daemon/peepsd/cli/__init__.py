"""Entry points of the two commands. Decides only what to say when the extra is missing.

`pip install peeps` brings the agent alone; both commands need `peeps[daemon]`, but for `peeps run`.
"""

import sys


def peepsd() -> None:
    """The daemon."""
    _require_extra("peepsd")
    from .serve import main

    main()


def peeps() -> None:
    """The command line that asks questions."""
    if sys.argv[1:2] == ["run"]:  # needs no extra: services have the agent alone
        from .running import main as run

        return run(sys.argv[2:])
    _require_extra("peeps")
    from .commands import main

    return main()


def _require_extra(command: str) -> None:
    try:
        import click  # noqa: F401
        import trio  # noqa: F401
    except ImportError as exc:
        sys.stderr.write(
            f"{command}: the package {exc.name!r} is missing; install the daemon with"
            " pip install 'peeps[daemon]'\n"
        )
        raise SystemExit(2) from None
