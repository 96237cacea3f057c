"""The same work on many machines, with Ray: the same bytes, in the same order."""
