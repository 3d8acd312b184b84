"""One thread keeps the lock while it talks to a server that does not answer; a second one only
wants to count."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "external"
# deadlock = false
# chains = [[["thread", "count"], ["lock"], ["thread", "sync"], ["socket"]]]
# ///

import socket
import threading

lock = threading.Lock()
inside = threading.Event()
silent_server = socket.create_server(("127.0.0.1", 0))


def sync() -> bytes:
    with lock, socket.create_connection(silent_server.getsockname()) as connection:
        inside.set()
        return connection.recv(1024)


def count() -> int:
    inside.wait()
    print("stuck", flush=True)
    with lock:
        return 1


threads = [threading.Thread(target=sync), threading.Thread(target=count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
