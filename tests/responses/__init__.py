"""Whole answers kept per class of viewer: never another class's, never stale, never wrong by time."""
