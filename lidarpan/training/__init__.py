"""Labelled scans -> weights."""
