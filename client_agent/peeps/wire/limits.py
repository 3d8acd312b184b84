"""The numbers both ends of the snapshot protocol agree on. Decides nothing else."""

from typing import Final

FRAME_HEADER_BYTES: Final = 4
"""A frame starts with its length: an unsigned 32-bit big-endian integer."""

DEFAULT_MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
"""Largest frame accepted unless configured otherwise. A hundred thousand tasks with stacks fit;
"GET ", "POST", TLS and SSH, read as a length, are all far above it."""

CEILING_MAX_FRAME_BYTES: Final = 256 * 1024 * 1024
"""What the limit can be raised to. Existing peers send up to 128 MiB; from 352 MiB on, an SSH
banner would pass for a length."""

MAX_TIMEOUT_MS: Final = 60_000
"""Longest time a snapshot may be asked to wait."""
