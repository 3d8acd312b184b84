"""A generator-based helper leaves its connection checked out when the caller stops half-way; the
pool of one is empty for everybody after it."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["sqlalchemy"]
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["thread", "checkout"], ["pool|condition|queue"]]]
# ///

import threading
from collections.abc import Iterator

from sqlalchemy import create_engine, pool, text

engine = create_engine(
    "sqlite://",
    poolclass=pool.QueuePool,
    pool_size=1,
    max_overflow=0,
    pool_timeout=3600,
    connect_args={"check_same_thread": False},
)


def rows() -> Iterator[int]:
    connection = engine.connect()
    for (n,) in connection.execute(text("select 1 union select 2")):
        yield n
    connection.close()


half_read = rows()
next(half_read)


def checkout() -> None:
    print("stuck", flush=True)
    with engine.connect():
        pass


thread = threading.Thread(target=checkout, name="checkout")
thread.start()
thread.join()
