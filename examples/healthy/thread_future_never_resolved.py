"""A callback-style library that calls back on its error path as well."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import threading
from concurrent.futures import Future

print("running", flush=True)
while True:
    answer: "Future[str]" = Future()
    threading.Timer(0.005, answer.set_result, ["ada"]).start()
    answer.result()
