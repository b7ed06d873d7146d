"""Subscriptions: what events say and when, and both ways to follow them."""
