"""The folder of tables and model files, and the command line, as in the tests of `cli`."""

from tests.cli.conftest import folder, p, run

__all__ = ["folder", "p", "run"]
