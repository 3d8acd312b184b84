"""Popen(stdout=PIPE).wait(): the child writes more than the pipe holds and waits for a reader,
the parent waits for the child."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["thread", "MainThread"], ["command"], ["rx"]]]
# ///

import subprocess
import sys

# -S: the child itself takes no part.
child = subprocess.Popen(
    [sys.executable, "-S", "-c", "print('x' * 1_000_000)"], stdout=subprocess.PIPE
)
print("stuck", flush=True)
child.wait()
