"""Work beside the requests: imports, exports, upkeep."""
