"""How fast are answers: conditionals of a column, a matrix of informations, a question from a file.

    python benchmarks/questions.py

A full-covariance Gaussian mixture of 16 components on 20 columns: mean, and central 90 % interval,
of one column given whatever of the others is there, 20000 rows. A mixture of 8 on 30 columns: the
mutual information of all 435 pairs to 0.01 nats. `pofx ask` on a saved model, from the start of
the process, without a persistent compilation cache. Compilation is timed apart, except in the last.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from timing import in_turn, machine

import pofx
from pofx.core.component_axis import stack_modules
from pofx.models.gaussian import Gaussian
from pofx.models.mixture import Mixture

ROWS = 20_000
QUESTIONS = ("P(x0 > 1 | x1 = 0.5, x2 = 1)", "E[x0 | x1 = 0.5]", "p(x0 | x1 = 0.5, x2 = -1)")


def mixture(columns, components, seed=0):
    """A mixture of Gaussians with correlated columns, by name, in float64 as `fit` gives it."""
    rng = np.random.default_rng(seed)
    parts = []
    with jax.enable_x64(True):
        for _ in range(components):
            half = rng.normal(size=(columns, columns)) / np.sqrt(columns)
            centre = jnp.asarray(rng.normal(0, 1.5, columns))
            parts.append(
                Gaussian.from_moments(centre, jnp.asarray(half @ half.T + 0.2 * np.eye(columns)))
            )
        model = Mixture(jnp.zeros(components), stack_modules(parts))
    names = tuple(pofx.Variable(f"x{i}", "real") for i in range(columns))
    return pofx.Joint(model, pofx.Schema(names, "numpy"), np.full(columns, np.nan))


def conditionals():
    p = mixture(20, 16)
    x = np.asarray(p.sample(ROWS))
    rng = np.random.default_rng(1)
    holes = rng.random((5, 20)) < 0.3
    tables = {
        "all others": x,
        "5 patterns": np.where(holes[rng.integers(0, 5, ROWS)], np.nan, x),
        "a pattern each": np.where(rng.random(x.shape) < 0.3, np.nan, x),
    }
    print(f"{'given':<16} {'compile, s':>10} {'mean, rows/s':>13} {'interval, rows/s':>17}")
    for name, table in tables.items():
        began = time.perf_counter()
        p.predict(table, "x0")
        p.interval(table, "x0")
        first = time.perf_counter() - began
        seconds = in_turn(
            {
                "mean": lambda table=table: p.predict(table, "x0"),
                "interval": lambda table=table: p.interval(table, "x0"),
            },
            3,
        )
        print(
            f"{name:<16} {first - sum(seconds.values()):>10.1f} {ROWS / seconds['mean']:>13.0f} "
            f"{ROWS / seconds['interval']:>17.0f}",
            flush=True,
        )


def informations():
    p = mixture(30, 8)
    began = time.perf_counter()
    answer = p.mutual_informations(stderr=0.01)
    seconds = time.perf_counter() - began
    print(
        f"\n435 mutual informations of 30 columns: {seconds:.1f} s with compilation, "
        f"{answer.draws} draws, largest standard error {np.nanmax(answer.stderr):.4f} nats"
    )


def questions():
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pofx"
        mixture(20, 16).save(path)
        code = "from pofx.cli.main import main; main()"
        for text in QUESTIONS:
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", code, "ask", str(path), text],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            print(
                f"pofx ask, {time.perf_counter() - began:.1f} s in all: "
                f"{done.stdout.splitlines()[0]}"
            )


if __name__ == "__main__":
    print(machine("pofx", "jax"), jax.default_backend())
    conditionals()
    informations()
    questions()
