"""An object joins its thread when it dies, and dies while the caller holds the lock that the
thread needs to finish."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["thread", "__del__"], ["thread", "uploader"], ["lock"]]]
# ///

import threading

registry_lock = threading.Lock()
registry: dict[str, "Upload"] = {}


class Upload:
    def __init__(self) -> None:
        self.thread = threading.Thread(target=leave_registry, name="uploader")

    def __del__(self) -> None:
        self.thread.start()
        self.thread.join()


def leave_registry() -> None:
    print("stuck", flush=True)
    with registry_lock:
        registry.clear()


registry["photo"] = Upload()
with registry_lock:
    del registry["photo"]
