"""Two threads write into a database; each ends its transactions at once."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import sqlite3
import tempfile
import threading
import time
from pathlib import Path


def store(path: Path) -> None:
    connection = sqlite3.connect(path, timeout=3600, isolation_level=None)
    while True:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
        time.sleep(0.01)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "orders.sqlite")
        sqlite3.connect(path).close()
        writers = [threading.Thread(target=store, args=(path,), daemon=True) for _ in range(2)]
        for writer in writers:
            writer.start()
        print("running", flush=True)
        for writer in writers:
            writer.join()


main()
