"""python -m lidarpan."""

from lidarpan.cli import main

main()
