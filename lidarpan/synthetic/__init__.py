"""Procedural towns, and LiDAR sensors that look at them."""
