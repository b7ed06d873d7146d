"""Tests of what time alone changes."""
