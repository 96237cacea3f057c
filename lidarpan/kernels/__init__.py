"""Compiled loops over plain arrays: pure functions of their arguments, no input is written to."""
