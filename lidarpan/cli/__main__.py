"""python -m lidarpan.cli."""

from lidarpan.cli.app import main

main()
