"""Two processes disagree on who speaks first: each waits in recv for the other's greeting. On the
wire it looks exactly like an idle connection, so it is no deadlock by shape: the root is the
peer."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "external"
# deadlock = false
# chains = [
#     [["thread", "greet", "caller"], ["socket+"]],
#     [["thread", "greet", "callee"], ["socket+"]],
# ]
# ///

import os
import socket
import subprocess
import sys


def greet(connection: socket.socket) -> None:
    print("stuck", flush=True)
    greeting = connection.recv(100)
    connection.sendall(b"hello, " + greeting)


def run_both() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname())
        callee, _ = listener.accept()
    children = []
    for name, end in (("caller", caller), ("callee", callee)):
        command = [sys.executable, __file__, str(end.fileno())]
        env = {**os.environ, "PEEPS_PROCESS_NAME": name}
        children.append(subprocess.Popen(command, pass_fds=[end.fileno()], env=env))
        end.close()
    for child in children:
        child.wait()


if len(sys.argv) == 1:
    run_both()
else:
    greet(socket.socket(fileno=int(sys.argv[1])))
