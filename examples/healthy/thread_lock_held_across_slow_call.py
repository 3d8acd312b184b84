"""The slow call happens outside the lock."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import threading
import time

lock = threading.Lock()
rows = 0


def sync() -> None:
    global rows
    while True:
        time.sleep(0.01)
        with lock:
            rows += 1


def count() -> None:
    while True:
        with lock:
            time.sleep(0.001)


for function in (sync, count):
    threading.Thread(target=function, name=function.__name__).start()
print("running", flush=True)
