"""`python -m genoglot`: the same as the `genoglot` command."""

from genoglot.cli import main

main()
