"""Rollcall's rules: ids, enums, errors and attendance as pure functions; no I/O."""
