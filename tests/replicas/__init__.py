"""Replicas that stream from a primary, and the tokens that clients bring back."""
