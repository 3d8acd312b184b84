"""A waiter looks at the state, and is notified when it changes. It is inside `with` while it waits
and yet does not hold the condition's lock."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["lock"], ["thread", "consumer"]]]
# ///

import threading
import time

arrived = threading.Condition()
letters: list[str] = []


def produce() -> None:
    while True:
        time.sleep(0.01)
        with arrived:
            letters.append("letter")
            arrived.notify()


def consume() -> None:
    while True:
        with arrived:
            arrived.wait_for(lambda: bool(letters))
            letters.clear()


threading.Thread(target=produce, name="producer").start()
threading.Thread(target=consume, name="consumer").start()
print("running", flush=True)
