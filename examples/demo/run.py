"""Three services that are stuck on each other, and what peeps says about it.

    make demo

Starts a daemon and three small services, sends one order, waits until nothing moves, and asks.
Everything it starts it also stops.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
DEADLINE_S = 60

SQL = """
SELECT waiter_process, waiter, needs_kind, needs, needs_process
FROM waits WHERE waiter_kind IN ('task', 'thread', 'lock') ORDER BY 1, 2
"""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def say(text: str) -> None:
    """A heading."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def wait_for_port(port: int, what: str) -> None:
    """Until somebody listens."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"{what} did not start within {DEADLINE_S} s")


class Demo:
    """The daemon, the services and the directory they live in."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="peeps-demo-"))
        self.processes: list[subprocess.Popen[bytes]] = []
        self.listen, self.http, self.gateway, self.worker, self.inventory = free_ports(5)
        self.url = f"http://127.0.0.1:{self.http}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PEEPS_")}
        self.env = kept | {"PEEPS_HTTP": f"127.0.0.1:{self.http}"}

    def start(self, *command: object, log: str, **env: str) -> None:
        """One process, its output in a file."""
        with (self.directory / f"{log}.log").open("wb") as out:
            process = subprocess.Popen(
                [str(c) for c in command],
                env=self.env | env,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
            )
        self.processes.append(process)

    def start_service(self, name: str, port: int, **env: str) -> None:
        """One of the three; PEEPS_DASHBOARD is all it takes to be seen."""
        self.start(
            sys.executable,
            HERE / f"{name}.py",
            port,
            log=name,
            PEEPS_DASHBOARD=f"127.0.0.1:{self.listen}",
            PEEPS_PROCESS_NAME=name,
            **env,
        )
        wait_for_port(port, name)

    def start_all(self) -> None:
        """The daemon first, then the services."""
        self.start(
            BIN / "peepsd",
            *("--listen", f"127.0.0.1:{self.listen}"),
            *("--http", f"127.0.0.1:{self.http}"),
            *("--db", self.directory / "peeps.sqlite"),
            log="peepsd",
        )
        wait_for_port(self.http, "peepsd")
        self.start_service("gateway", self.gateway, WORKER_PORT=str(self.worker))
        self.start_service("worker", self.worker, INVENTORY_PORT=str(self.inventory))
        self.start_service("inventory", self.inventory, GATEWAY_PORT=str(self.gateway))

    def order(self) -> None:
        """A customer who will wait for a long time."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.gateway}/order", method="POST")

        def run() -> None:
            with contextlib.suppress(urllib.error.URLError, OSError):  # we stop the services
                urllib.request.urlopen(request, timeout=DEADLINE_S * 2)

        threading.Thread(target=run, daemon=True).start()

    def peeps(self, *arguments: str) -> int:
        """Run the command line, as a user would; its exit status."""
        shown = [f'"{a}"' if " " in a else a for a in arguments]
        print(f"$ peeps {' '.join(shown)}", flush=True)
        return subprocess.run(
            [str(BIN / "peeps"), *arguments], env=self.env, check=False
        ).returncode

    def wait_until_stuck(self) -> None:
        """Until peeps sees the deadlock, twice."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            done = subprocess.run(
                [str(BIN / "peeps"), "deadlocks"], env=self.env, capture_output=True, check=False
            )
            if done.returncode == 1:
                return
            time.sleep(0.5)
        raise SystemExit(f"nothing is stuck after {DEADLINE_S} s; logs are in {self.directory}")

    def stop(self) -> None:
        """Stop everything and clean up."""
        for process in reversed(self.processes):
            process.kill() if process is not self.processes[0] else process.terminate()
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def main() -> None:
    demo = Demo()
    try:
        say("A daemon and three services: gateway, worker (asyncio) and inventory (threads)")
        demo.start_all()
        print("  started, with PEEPS_DASHBOARD set and not a line of their code changed")
        say("One order comes in, and nothing moves any more")
        demo.order()
        demo.wait_until_stuck()
        say("A snapshot: what is everybody doing, right now?")
        print(f"$ curl -X POST {demo.url}/api/jump-now")
        with urllib.request.urlopen(
            urllib.request.Request(f"{demo.url}/api/jump-now", method="POST")
        ) as response:
            print(response.read().decode())
        say("Who waits for what, in SQL")
        demo.peeps("sql", " ".join(SQL.split()))
        say("And why?")
        demo.peeps("deadlocks")
    finally:
        demo.stop()


if __name__ == "__main__":
    main()
