"""Compiled loops over plain arrays: pure functions of their arguments, no input is written to."""

import numba

# OpenMP first: torch has it loaded, and looking at an old TBB prints a warning.
numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
