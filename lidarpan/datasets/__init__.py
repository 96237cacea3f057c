"""Everything that is read from and written to files: scans, datasets, predictions, submissions."""
