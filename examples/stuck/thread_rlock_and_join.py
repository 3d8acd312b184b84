"""The main thread stops a worker while it holds a re-entrant lock, and the worker's last act
needs that lock. Re-entrant means for one thread."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["thread", "MainThread"], ["thread", "flusher"], ["lock"]]]
# ///

import threading


class Buffer:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, name="flusher")
        self.thread.start()

    def run(self) -> None:
        self.stopping.wait()
        self.flush()

    def flush(self) -> None:
        print("stuck", flush=True)
        with self.lock:
            pass

    def close(self) -> None:
        with self.lock:
            self.stopping.set()
            self.thread.join()


Buffer().close()
