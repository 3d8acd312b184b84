"""fork() copies a lock in the state it is in. Another thread of the parent holds it at that
moment; in the child nobody does, and it is locked for ever."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["thread", "log_start"], ["lock"]]]
# ///

import os
import threading
import warnings

log_lock = threading.Lock()
held, done = threading.Event(), threading.Event()


def write_log() -> None:
    with log_lock:
        held.set()
        done.wait()


def log_start() -> None:
    print("stuck", flush=True)
    with log_lock:
        pass


threading.Thread(target=write_log, daemon=True).start()
held.wait()
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 knows that this is unwise
child = os.fork()
if child == 0:
    log_start()
    os._exit(0)
os.waitpid(child, 0)
