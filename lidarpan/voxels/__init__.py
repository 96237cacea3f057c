"""Points -> voxels of a grid, and what the network sees of each."""
