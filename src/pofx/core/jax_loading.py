"""What must be so before JAX is used: a version without known faults, and no false alarms."""

import os
import sys
from importlib.metadata import version
from pathlib import Path

FAULTY_VERSIONS = {
    "0.10.2": "returns wrong sums of matrix-vector products on a CPU (jax issue 39103)",
}
COMMANDS = ("pofx", "-m")
"""The name of the running program while the command line is imported."""


def prepare_jax() -> None:
    """Refuses a faulty JAX, and silences a message that XLA prints about programs on disk.

    XLA compares a program from a cache with the features of the processor, among which it counts
    its own preferences, and prints each difference as an error.

    Raises:
        ImportError: in one line, if the installed JAX is known to compute wrong numbers. The
            command line prints that line, and exits with code 2.
    """
    for package in ("jax", "jaxlib"):
        installed = version(package)
        if installed in FAULTY_VERSIONS:
            message = (
                f"pofx: {package} {installed} {FAULTY_VERSIONS[installed]}; "
                "try pip install 'jax!=0.10.2' 'jaxlib!=0.10.2'"
            )
            if Path(sys.argv[0]).stem in COMMANDS:
                print(message, file=sys.stderr)
                sys.exit(2)
            raise ImportError(message)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
