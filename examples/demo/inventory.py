"""The shop's inventory: a threaded service. Reserving goods asks the gateway for their price,
with the stock locked."""

import os
import socketserver
import sys
import threading
import urllib.request

STOCK = threading.Lock()


class Reserve(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        if not self.rfile.readline():
            return  # somebody only wanted to see whether we listen
        with STOCK:
            url = f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}/price"
            with urllib.request.urlopen(url) as response:
                self.wfile.write(response.read() + b"\n")


class Audit(threading.Thread):
    """Counts the stock now and then; innocent, but it needs the lock as well."""

    def __init__(self) -> None:
        super().__init__(name="audit", daemon=True)
        self.wanted = threading.Event()

    def run(self) -> None:
        self.wanted.wait()
        with STOCK:
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


audit = Audit()
audit.start()
threading.Timer(1.0, audit.wanted.set).start()
with Server(("127.0.0.1", int(sys.argv[1])), Reserve) as server:
    server.serve_forever()
