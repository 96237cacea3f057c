"""Bags and MCAP files -> scans with their times and poses."""
