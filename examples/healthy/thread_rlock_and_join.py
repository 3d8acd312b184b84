"""Workers that need a re-entrant lock are joined by a main thread that has let go of it."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["lock"], ["thread", "MainThread"]]]
# ///

import threading
import time

lock = threading.RLock()


def flush() -> None:
    with lock, lock:
        time.sleep(0.005)


print("running", flush=True)
while True:
    with lock:
        thread = threading.Thread(target=flush, name="flusher")
    thread.start()
    thread.join()
