#!/usr/bin/env python
"""lidarpan draw, as a script: tools/visualize.py 000000.bin --labels 000000.label --out map.png."""

import sys

from lidarpan.cli import main

sys.argv[1:1] = ["draw"]
main()
