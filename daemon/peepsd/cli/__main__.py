"""`python -m peepsd.cli` is `peeps`."""

from . import peeps

peeps()
