"""Labelled datasets, their predictions and submissions, as files."""
