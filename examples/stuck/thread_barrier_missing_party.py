"""Three phases of a simulation meet at a barrier; one worker found nothing to do and returned."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["thread", "worker-0"], ["barrier"]], [["thread", "worker-1"], ["barrier"]]]
# ///

import threading

PARTS: list[list[int]] = [[1, 2], [3], []]
phase = threading.Barrier(len(PARTS))


def simulate(part: list[int]) -> None:
    if not part:
        return
    print("stuck", flush=True)
    phase.wait()


threads = [
    threading.Thread(target=simulate, args=(part,), name=f"worker-{n}")
    for n, part in enumerate(PARTS)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
