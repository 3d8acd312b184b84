"""Two threads, two locks, opposite order; who does not get the second lets go of the first."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import threading
import time

shelf, till = threading.Lock(), threading.Lock()


def serve(first: threading.Lock, second: threading.Lock) -> None:
    while True:
        with first:
            time.sleep(0.001)
            if second.acquire(timeout=0.002):
                second.release()
        time.sleep(0.001)


threading.Thread(target=serve, args=(shelf, till), name="sell").start()
threading.Thread(target=serve, args=(till, shelf), name="restock").start()
print("running", flush=True)
