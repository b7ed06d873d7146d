"""Tests of the supervisor and its processes: real processes, real sockets, real signals."""
