"""notify() came before wait(): the wake-up is lost, since the waiter does not look at the state
first."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["thread", "consumer"], ["condition"]]]
# ///

import threading

arrived = threading.Condition()


def produce() -> None:
    with arrived:
        arrived.notify()


def consume() -> None:
    with arrived:
        print("stuck", flush=True)
        arrived.wait()


producer = threading.Thread(target=produce, name="producer")
producer.start()
producer.join()
consumer = threading.Thread(target=consume, name="consumer")
consumer.start()
consumer.join()
