"""`python -m peepsd` is `peepsd`."""

from .cli import peepsd

peepsd()
