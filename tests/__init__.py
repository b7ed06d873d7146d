"""The tests; this file keeps `tests/schema` from shadowing the package `schema`."""
