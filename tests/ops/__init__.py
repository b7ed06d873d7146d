"""Tests of the command line, of the settings and of the start of the service."""
