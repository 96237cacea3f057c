"""lidarpan."""
