"""A reader that fills a queue, and a writer that empties it more slowly."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import queue
import threading
import time

lines: "queue.Queue[str]" = queue.Queue(maxsize=10)


def write_lines() -> None:
    while True:
        lines.get()
        time.sleep(0.001)


def read_lines() -> None:
    while True:
        lines.put("line")


for function in (write_lines, read_lines):
    threading.Thread(target=function).start()
print("running", flush=True)
