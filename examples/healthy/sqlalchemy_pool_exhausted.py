"""Three threads share a pool of one connection and give it back each time."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["sqlalchemy"]
#
# [tool.peeps]
# forbidden = []
# ///

import threading
import time

from sqlalchemy import create_engine, pool

engine = create_engine(
    "sqlite://",
    poolclass=pool.QueuePool,
    pool_size=1,
    max_overflow=0,
    connect_args={"check_same_thread": False},
)


def work() -> None:
    while True:
        with engine.connect():
            time.sleep(0.003)


for n in range(3):
    threading.Thread(target=work, name=f"worker-{n}").start()
print("running", flush=True)
