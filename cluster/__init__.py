"""The supervisor of hypercorn workers."""
