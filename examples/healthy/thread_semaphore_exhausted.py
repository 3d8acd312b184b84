"""Five threads share two licences, each for a moment."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import threading
import time

licences = threading.Semaphore(2)


def work() -> None:
    while True:
        with licences:
            time.sleep(0.003)


for n in range(5):
    threading.Thread(target=work, name=f"worker-{n}").start()
print("running", flush=True)
