"""`python -m pofx`, the command line."""

from pofx.front.cli import main

main()
