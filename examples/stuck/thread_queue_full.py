"""The writer thread died of a full disk; the readers go on until the queue between them is
full."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["thread", "read_lines"], ["queue"]]]
# ///

import errno
import queue
import threading

lines: "queue.Queue[str]" = queue.Queue(maxsize=10)
threading.excepthook = lambda args: None  # "we log those elsewhere"


def write_lines() -> None:
    lines.get()
    raise OSError(errno.ENOSPC, "no space left on device")


def read_lines() -> None:
    while True:
        if lines.full():
            print("stuck", flush=True)
        lines.put("line")


threads = [threading.Thread(target=write_lines), threading.Thread(target=read_lines)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
