"""One thread writes into a database inside of a transaction that another thread never ends."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["thread", "main"], ["thread", "store"]]]
# ///

import sqlite3
import tempfile
import threading
from pathlib import Path


def open_database(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=3600, isolation_level=None)


def store(path: Path) -> None:
    with open_database(path) as connection:
        print("stuck", flush=True)
        connection.execute("BEGIN IMMEDIATE")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "orders.sqlite")
        report = open_database(path)
        report.execute("BEGIN IMMEDIATE")
        writer = threading.Thread(target=store, args=(path,), name="store", daemon=True)
        writer.start()
        writer.join()
        report.execute("COMMIT")


main()
