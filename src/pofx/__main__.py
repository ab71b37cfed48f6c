"""`python -m pofx`, the command line."""

from pofx.front.cli import main

if __name__ == "__main__":
    main()
