"""Four threads may use the licence server at once. All four wait for the fifth, which must get a
licence before it can answer them."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["thread", "chief"], ["semaphore"], ["thread", "worker-0"], ["notify"]]]
# ///

import threading

licences = threading.Semaphore(4)
plan_ready = threading.Event()
at_work = threading.Barrier(5)


def work() -> None:
    with licences:
        at_work.wait()
        plan_ready.wait()


def plan() -> None:
    at_work.wait()
    print("stuck", flush=True)
    with licences:
        plan_ready.set()


threads = [threading.Thread(target=work, name=f"worker-{n}") for n in range(4)]
threads.append(threading.Thread(target=plan, name="chief"))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
