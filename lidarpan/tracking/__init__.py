"""Identities over time: a tracker, what it mends, and a stream around it."""
