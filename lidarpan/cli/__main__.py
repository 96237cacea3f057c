"""python -m lidarpan.cli."""

from lidarpan.cli import main

main()
