"""Models beside the truth: what each loses, in nats per row, on draws of known distributions.

    python benchmarks/known_truth.py [--models NAME ...] [--sets NAME ...] [--rows N] [--json F]

Each model learns from --rows draws; 2000 more are the test. Printed are the mean of log p of the
test rows with its kind (exact, a lower bound, or an estimate) and its standard error over rows, and
the paired difference from the true log-density on the same rows: zero for the truth, minus the
divergence from it for a model whose log p is exact, lower still for a bound. Sets: a Gaussian of
correlation 0.9 in two columns, a banana (y bent along x squared), eight Gaussians on a ring, two
moons (arcs with normal noise: the density an integral by quadrature) and an Ising model of twelve
binary variables on a ring with random couplings, enumerated.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.special import logsumexp
from timing import machine

import pofx
from pofx.core.row_means import mean_over_rows

TEST = 2000
REAL = (
    "mixture",
    "flow",
    "autoregressive",
    "any_order",
    "vae",
    "diffusion",
    "neural_energy",
)
BINARY = ("latent_tree", "autoregressive", "any_order", "vae", "rbm", "neural_energy")
OPTIONS = {"mixture": {"components": 16, "part": "gaussian"}}


class Truth(NamedTuple):
    """A distribution: n draws, and log p of rows, in nats."""

    draw: Callable[[np.random.Generator, int], np.ndarray]
    log_prob: Callable[[np.ndarray], np.ndarray]
    models: tuple[str, ...] = REAL


def correlated() -> Truth:
    normal = stats.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]])
    return Truth(lambda rng, n: normal.rvs(n, random_state=rng), normal.logpdf)


def banana() -> Truth:
    def draw(rng, n):
        x = rng.normal(size=n)
        return np.stack([x, x**2 + 0.5 * rng.normal(size=n)], 1)

    def log_prob(x):
        return stats.norm.logpdf(x[:, 0]) + stats.norm.logpdf(x[:, 1], x[:, 0] ** 2, 0.5)

    return Truth(draw, log_prob)


def ring() -> Truth:
    angle = 2 * np.pi * np.arange(8) / 8
    centre = 3 * np.stack([np.cos(angle), np.sin(angle)], 1)

    def draw(rng, n):
        return centre[rng.integers(8, size=n)] + 0.3 * rng.normal(size=(n, 2))

    def log_prob(x):
        return logsumexp(_normal(x[:, None] - centre, 0.3), axis=1) - np.log(8)

    return Truth(draw, log_prob)


def moons() -> Truth:
    nodes, weight = np.polynomial.legendre.leggauss(400)
    angle, weight = np.pi * (nodes + 1) / 2, weight / 2
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    arcs = np.concatenate([upper, [1, 0.5] - upper])

    def draw(rng, n):
        drawn_angle = rng.uniform(0, np.pi, n)
        x = np.stack([np.cos(drawn_angle), np.sin(drawn_angle)], 1)
        x = np.where(rng.random((n, 1)) < 0.5, x, [1, 0.5] - x)
        return x + 0.1 * rng.normal(size=(n, 2))

    def log_prob(x):
        each = _normal(x[:, None] - arcs, 0.1) + np.log(np.tile(weight, 2) / 2)
        return logsumexp(each, axis=1)

    return Truth(draw, log_prob)


def ising() -> Truth:
    d, rng = 12, np.random.default_rng(0)
    coupling = rng.normal(0, 0.8, d)
    field = rng.normal(0, 0.3, d)
    rows = (np.arange(2**d)[:, None] >> np.arange(d)) & 1

    def score(x):
        spin = 2 * x - 1
        return (spin * np.roll(spin, 1, 1)) @ coupling + spin @ field

    log_z = logsumexp(score(rows))
    p = np.exp(score(rows) - log_z)
    return Truth(
        lambda rng, n: rows[rng.choice(len(rows), n, p=p)].astype(float),
        lambda x: score(x) - log_z,
        BINARY,
    )


def _normal(off, sd):
    return stats.norm.logpdf(off, 0, sd).sum(-1)


SETS = {"gaussian": correlated, "banana": banana, "ring": ring, "moons": moons, "ising": ising}


class Result(NamedTuple):
    """Nats per test row, what is lost against the truth, and seconds to fit and to score."""

    kind: str
    nats: float
    stderr: float
    gap: float
    gap_stderr: float
    fit: float
    score: float


def judge(truth: Truth, name: str, n: int) -> Result:
    rng = np.random.default_rng(1)
    train, test = truth.draw(rng, n), truth.draw(rng, TEST)
    schema = {
        f"x{i}": "binary" if truth.models is BINARY else "real" for i in range(train.shape[1])
    }

    def table(x):
        return {f"x{i}": x[:, i] for i in range(x.shape[1])}

    began = time.perf_counter()
    p = pofx.fit(table(train), name, schema=schema, progress=False, **OPTIONS.get(name, {}))
    fitted = time.perf_counter()
    answer = p.log_prob(table(test))
    scored = time.perf_counter()
    mean = mean_over_rows(answer)
    gap = mean_over_rows(answer - truth.log_prob(test))
    return Result(
        answer.kind,
        float(mean),
        mean.stderr,
        float(gap),
        gap.stderr,
        fitted - began,
        scored - fitted,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", metavar="NAME")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--json", type=Path, metavar="FILE")
    a = parser.parse_args()
    print(machine("pofx", "jax", "flowjax"))
    warnings.simplefilter("ignore", pofx.PofxWarning)
    results: dict[str, dict[str, Result]] = {}
    for name in a.sets:
        truth = SETS[name]()
        rng = np.random.default_rng(1)
        truth.draw(rng, a.rows)
        true = mean_over_rows(truth.log_prob(truth.draw(rng, TEST)))
        print(
            f"\n{name}: true log p of the test rows {float(true):.3f} ± {true.stderr:.3f} "
            "nats per row"
        )
        print(
            f"  {'':<16}{'test, nats per row':>20}  {'kind':<12}{'less the truth':>18}"
            f"{'fit, s':>8}{'score':>7}"
        )
        results[name] = {}
        for model in [m for m in truth.models if m in (a.models or truth.models)]:
            r = results[name][model] = judge(truth, model, a.rows)
            print(
                f"  {model:<16}{f'{r.nats:.3f} ± {r.stderr:.3f}':>20}  {r.kind:<12}"
                f"{f'{r.gap:+.3f} ± {r.gap_stderr:.3f}':>18}{r.fit:>8.1f}{r.score:>7.1f}",
                flush=True,
            )
        if a.json:
            record = {s: {m: r._asdict() for m, r in by.items()} for s, by in results.items()}
            a.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
