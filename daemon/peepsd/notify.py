"""Telling the service manager that we are ready or stopping (sd_notify).

Decides nothing; does nothing where there is no manager. Failures are ignored: a manager that
does not listen must not stop the daemon.
"""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Send `state`, such as "READY=1", to $NOTIFY_SOCKET."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(state.encode(), address)
