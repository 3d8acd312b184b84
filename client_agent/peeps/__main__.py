"""`python -m peeps script.py args...` and `python -m peeps -m module args...`: run a program
with the agent started, otherwise as if Python had run it itself: sys.argv, sys.path, __main__.
"""

import os
import runpy
import sys

USAGE = """usage: PEEPS_DASHBOARD=host:port python -m peeps [-m module | script.py] [arguments]

Runs the program with the agent started. (With the package installed the agent starts by itself
in every Python process that has PEEPS_DASHBOARD set; this is for when it is merely on the path.)
"""


def main() -> None:
    """Run what the command line names. Exits with 2 if it names nothing that can be run."""
    words = sys.argv[1:]
    if not _names_a_program(words):
        asked = words[:1] in (["-h"], ["--help"])
        (sys.stdout if asked else sys.stderr).write(USAGE)
        raise SystemExit(0 if asked else 2)
    from . import start

    if words[0] == "-m":
        start(_chosen_name(words[1]))
        sys.argv = words[1:]
        # As `python -m` does, the working directory comes first; it is there already, put by
        # our own -m.
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    script = words[0]
    if not os.path.exists(script):  # noqa: PTH110
        sys.stderr.write(f"python -m peeps: there is no file {script!r}\n")
        raise SystemExit(2)
    start(_chosen_name(script.rpartition("/")[2].removesuffix(".py")))
    sys.argv = words
    # As `python script.py` does, the script's directory takes the working directory's place.
    sys.path[0] = os.path.dirname(os.path.realpath(script))  # noqa: PTH120
    runpy.run_path(script, run_name="__main__")


def _names_a_program(words: list[str]) -> bool:
    if words[:1] == ["-m"]:
        return len(words) > 1
    # Of Python's own options there is none but -m; what begins with a dash is no script then.
    return bool(words) and not words[0].startswith("-")


def _chosen_name(fallback: str) -> str:
    return os.environ.get("PEEPS_PROCESS_NAME") or fallback


if __name__ == "__main__":
    main()
