"""A lock that is taken around fork(), so that the child gets it free."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import os
import threading
import time
import warnings

log_lock = threading.Lock()
os.register_at_fork(
    before=log_lock.acquire, after_in_parent=log_lock.release, after_in_child=log_lock.release
)


def write_log() -> None:
    while True:
        with log_lock:
            time.sleep(0.001)


threading.Thread(target=write_log, daemon=True).start()
warnings.simplefilter("ignore", DeprecationWarning)
print("running", flush=True)
while True:
    child = os.fork()
    if child == 0:
        with log_lock:
            time.sleep(0.2)
        os._exit(0)
    os.waitpid(child, 0)
