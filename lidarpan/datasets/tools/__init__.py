"""Boxes of drives in the formats that labelling tools import and export; one file for each."""
