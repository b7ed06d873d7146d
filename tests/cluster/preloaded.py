"""Stands for code that takes long to import: tells whether that was done before the environment came."""

import os

IMPORTED_EARLY = "EXAMPLE_PREPARED" not in os.environ
