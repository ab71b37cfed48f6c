"""`python -m pofx`, the command line."""

from pofx.cli.main import main

if __name__ == "__main__":
    main()
