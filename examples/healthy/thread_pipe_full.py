"""communicate() instead of wait(): the parent reads what the child has to say."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import subprocess
import sys

print("running", flush=True)
while True:
    with subprocess.Popen(
        [sys.executable, "-S", "-c", "print('x' * 1_000_000)"], stdout=subprocess.PIPE
    ) as child:
        child.communicate()
