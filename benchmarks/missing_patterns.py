"""Log-likelihood of rows with missing cells: a pattern each, against five patterns.

    python benchmarks/missing_patterns.py [--rows 50000] [--columns 20]

A Gaussian's marginal needs a factorisation for each pattern of missing cells. Rows that share
their pattern share it. No Python loop runs over rows in either case.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
from timing import in_turn, machine

from pofx.core.rows import make_rows
from pofx.models.gaussian import Gaussian
from pofx.queries.density import log_prob


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rows", 50000), ("columns", 20), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    a = parser.parse_args()
    print(machine("pofx", "jax"))
    rng = np.random.default_rng(0)
    half = rng.normal(size=(a.columns, a.columns))
    model = Gaussian.from_moments(
        jnp.zeros(a.columns), jnp.asarray(half @ half.T / a.columns + np.eye(a.columns))
    )
    x = np.asarray(jax.vmap(model.sample)(jax.random.split(jax.random.key(0), a.rows)))
    holes = rng.random(x.shape) < 0.3
    few = holes[:5][rng.integers(0, 5, a.rows)]
    tables = {
        "a pattern each": np.where(holes, np.nan, x),
        "five patterns": np.where(few, np.nan, x),
        "complete": x,
    }
    grouped = {name: make_rows(table) for name, table in tables.items()}
    works = {
        f"{name}{stage}": work
        for name in tables
        for stage, work in (
            ("", lambda name=name: log_prob(model, grouped[name])),
            (", with grouping", lambda name=name: log_prob(model, make_rows(tables[name]))),
        )
    }
    seconds = in_turn(works, a.rounds)
    print(f"{a.rows} rows, {a.columns} columns, 30 % of cells missing at random, compilation apart")
    for name, taken in seconds.items():
        base = "five patterns" + (", with grouping" if "grouping" in name else "")
        print(f"{name:>32} {1e3 * taken:>9.1f} ms   {taken / seconds[base]:>6.1f} x five patterns")
    sample = {name: log_prob(model, grouped[name])[:3] for name in tables}
    for name, table in tables.items():
        observed = ~np.isnan(table[:3])
        direct = [
            float(model.log_prob(jnp.asarray(r), jnp.asarray(o)))
            for r, o in zip(np.nan_to_num(table[:3]), observed)
        ]
        np.testing.assert_allclose(sample[name], direct, rtol=1e-4)


if __name__ == "__main__":
    main()
