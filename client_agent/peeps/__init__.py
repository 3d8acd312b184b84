"""peeps: what is this process doing, and what is it waiting for?"""

__version__ = "0.1.0"
