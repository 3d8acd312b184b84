"""Threads and sockets of a program in which gevent has replaced both."""

import json
import subprocess
import sys

PROGRAM = """
from gevent import monkey
monkey.patch_all()
import gevent, json, os, socket, threading
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
lock = threading.Lock()
def hold():
    with lock:
        gevent.sleep(1000)
gevent.spawn(hold)
gevent.spawn(client.recv, 1)
gevent.sleep(0.1)
found = []
def look():
    from peeps.snapshot import snapshot_dict
    found.append(snapshot_dict("gevent"))
monkey.get_original("_thread", "start_new_thread")(look, ())
while not found:
    gevent.sleep(0.01)
print(json.dumps(found[0]), flush=True)
os._exit(0)
"""


def test_nothing_fails() -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert said.returncode == 0, said.stderr
    graph = json.loads(said.stdout)
    (process,) = (node for node in graph["nodes"] if node["kind"] == "process")
    assert "problems" not in process["attrs"]
    kinds = {node["kind"] for node in graph["nodes"]}
    assert {"thread", "socket", "net_accept"} <= kinds
