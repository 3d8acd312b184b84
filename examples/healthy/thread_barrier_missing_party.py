"""Three workers meet at a barrier again and again."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import threading
import time

phase = threading.Barrier(3)


def simulate(pause: float) -> None:
    while True:
        time.sleep(pause)
        phase.wait()


for n in range(3):
    threading.Thread(target=simulate, args=(n * 0.004,), name=f"worker-{n}").start()
print("running", flush=True)
