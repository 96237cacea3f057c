#!/usr/bin/env python
"""lidarpan predict, as a script: tools/infer.py scans/ --out labels/."""

import sys

from lidarpan.cli import main

sys.argv[1:1] = ["predict"]
main()
