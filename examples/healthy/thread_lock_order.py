"""Two threads, two locks, one order: contended all the time, never stuck."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import threading
import time

shelf, till = threading.Lock(), threading.Lock()


def serve() -> None:
    while True:
        with shelf:
            time.sleep(0.001)
            with till:
                time.sleep(0.001)


for name in ("sell", "restock"):
    threading.Thread(target=serve, name=name).start()
print("running", flush=True)
