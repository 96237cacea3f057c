#!/usr/bin/env python
"""lidarpan evaluate, as a script: tools/evaluate.py semantickitti --data ROOT ..."""

import sys

from lidarpan.cli import main

sys.argv[1:1] = ["evaluate"]
main()
