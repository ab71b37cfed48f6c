"""Peak memory of fitting a million rows of 16 columns.

    python benchmarks/memory.py [--rows 1000000] [--columns 16] [--components 16] [--steps 5]

The peak is the operating system's, of the whole process: Python, JAX, the table, the fit.
"""

import argparse
import resource
import time
import warnings

import numpy as np
from timing import machine

import pofx


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rows", 10**6), ("columns", 16), ("components", 16), ("steps", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    a = parser.parse_args()
    print(machine("pofx", "jax"))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(a.rows, a.columns)) + 3 * rng.integers(0, a.components, (a.rows, 1))
    for part in ("gaussian", "independent"):
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pofx.PofxWarning)
            p = pofx.fit(
                x,
                "mixture",
                part=part,
                components=a.components,
                restarts=1,
                steps=a.steps,
                schema={f"x{i}": "real" for i in range(a.columns)},
            )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"mixture of {a.components} {part}, {a.rows} x {a.columns}, "
            f"{p.fit_info['steps']} steps: {time.perf_counter() - began:.0f} s, "
            f"peak so far {peak:.2f} GiB"
        )


if __name__ == "__main__":
    main()
