#!/usr/bin/env python
"""lidarpan train, as a script: tools/train.py configs/town.yaml [--set key=value] [--resume]."""

import sys

from lidarpan.cli import main

sys.argv[1:1] = ["train"]
main()
