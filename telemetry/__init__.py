"""Counters, timings and event names; no I/O."""
