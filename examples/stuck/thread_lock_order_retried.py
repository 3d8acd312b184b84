"""Two threads, two locks, opposite order; each tries again, and never lets go of what it has."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "timeout"
# deadlock = false
# chains = [[["thread", "sell"], ["lock"], ["thread", "restock"], ["lock"]]]
# ///

import threading


class Shop:
    def __init__(self) -> None:
        self.shelf, self.till = threading.Lock(), threading.Lock()
        self.both_inside = threading.Barrier(2)

    def sell(self) -> None:
        with self.shelf:
            self.both_inside.wait()
            print("stuck", flush=True)
            while not self.till.acquire(timeout=10):
                pass
            self.till.release()

    def restock(self) -> None:
        with self.till:
            self.both_inside.wait()
            print("stuck", flush=True)
            while not self.shelf.acquire(timeout=10):
                pass
            self.shelf.release()


shop = Shop()
threads = [threading.Thread(target=shop.sell), threading.Thread(target=shop.restock)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
