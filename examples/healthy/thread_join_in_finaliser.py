"""An object joins its thread when it dies, outside of the lock that the thread needs."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["lock"], ["thread", "MainThread"]]]
# ///

import threading
import time

registry_lock = threading.Lock()


class Upload:
    def __init__(self) -> None:
        self.thread = threading.Thread(target=leave_registry, name="uploader")

    def __del__(self) -> None:
        self.thread.start()
        self.thread.join()


def leave_registry() -> None:
    with registry_lock:
        time.sleep(0.005)


print("running", flush=True)
while True:
    with registry_lock:
        upload = Upload()
    del upload
