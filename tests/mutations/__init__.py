"""Tests of what changes things."""
