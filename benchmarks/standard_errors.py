"""Do standard errors mean what they say? How often 95 % intervals cover a truth that is known.

    python benchmarks/standard_errors.py [PROBLEMS]

Each problem is a random distribution, asked one question whose true answer is known by another way
(quadrature, a sum over counts, scipy). An estimate covers if the truth lies within 1.96 of its
standard errors. PROBLEMS of each kind, 100 by default. By default an estimate takes 16384 draws;
those marked "on request" stop at the standard error that was asked for.
"""

import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats
from scipy.special import gammaln, logsumexp
from timing import machine

import pofx
from pofx.core.component_axis import stack_modules
from pofx.families.bernoulli import Bernoulli
from pofx.models.class_conditional import ClassConditional
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent
from pofx.models.mixture import Mixture

GRID = np.linspace(-14, 14, 8001)


def joint(model, names, kinds=()):
    """The distribution of hand-made parameters, by name."""
    made = []
    for i, name in enumerate(names):
        levels = kinds[i] if i < len(kinds) else 0
        kind = {0: "real", 2: "binary"}.get(levels, "categorical")
        made.append(pofx.Variable(name, kind, levels=tuple(range(levels))))
    return pofx.Joint(model, pofx.Schema(tuple(made), "numpy"), np.full(len(made), np.nan))


def components(rng, k=3):
    return rng.dirichlet(2 * np.ones(k)), rng.normal(0, 2, k), rng.uniform(0.4, 1.5, k)


def mixture(weights, means, covariances):
    parts = [
        Gaussian.from_moments(jnp.asarray(m), jnp.asarray(c)) for m, c in zip(means, covariances)
    ]
    return Mixture(jnp.log(jnp.asarray(weights)), stack_modules(parts))


def line(parameters):
    """A mixture of normals on the line."""
    weights, means, spreads = parameters
    return mixture(weights, means[:, None], spreads[:, None, None] ** 2)


def log_density(parameters):
    weights, means, spreads = parameters
    return logsumexp(stats.norm(means, spreads).logpdf(GRID[:, None]) + np.log(weights), axis=1)


def integral(values):
    return float(np.trapezoid(values, GRID))


def entropy_on_the_line(rng, seed):
    parameters = components(rng)
    log_p = log_density(parameters)
    return joint(line(parameters), "x").entropy("x", seed=seed), -integral(np.exp(log_p) * log_p)


def entropy_on_request(rng, seed):
    parameters = components(rng)
    log_p = log_density(parameters)
    answer = joint(line(parameters), "x").entropy("x", stderr=0.004, seed=seed)
    return answer, -integral(np.exp(log_p) * log_p)


def divergence(rng, seed):
    one, other = components(rng), components(rng)
    log_p, log_q = log_density(one), log_density((other[0], other[1], other[2] + 1))
    p = joint(line(one), "x")
    q = joint(line((other[0], other[1], other[2] + 1)), "x")
    return pofx.kl(p, q, seed=seed), integral(np.exp(log_p) * (log_p - log_q))


def jensen_shannon(rng, seed):
    one, other = components(rng), components(rng)
    log_p, log_q = log_density(one), log_density(other)
    log_m = np.logaddexp(log_p, log_q) - math.log(2)
    truth = integral(np.exp(log_p) * (log_p - log_m) + np.exp(log_q) * (log_q - log_m)) / 2
    return pofx.jensen_shannon(joint(line(one), "x"), joint(line(other), "x"), seed=seed), truth


def class_and_number(rng, seed):
    weights, means, spreads = components(rng)
    parts = [
        Gaussian.from_moments(jnp.array([m]), jnp.array([[s**2]])) for m, s in zip(means, spreads)
    ]
    p = joint(ClassConditional(jnp.log(jnp.asarray(weights)), stack_modules(parts), 0), "yx", (3,))
    log_p = log_density((weights, means, spreads))
    within = weights @ np.log(spreads * math.sqrt(2 * math.pi * math.e))
    answer = p.mutual_information("y", "x", seed=seed)
    return answer, -integral(np.exp(log_p) * log_p) - within


def entropy_of_turned_mixture(rng, seed):
    """H(Az) = H(z_1) + H(z_2, z_3) + log |det A|, of which only z_1 is a mixture."""
    weights, means, spreads = components(rng)
    turn = rng.normal(size=(3, 3)) + 2 * np.eye(3)
    log_p = log_density((weights, means, spreads))
    truth = -integral(np.exp(log_p) * log_p) + math.log(2 * math.pi * math.e)
    truth += np.linalg.slogdet(turn)[1]
    centres = [turn @ [m, 0, 0] for m in means]
    covariances = [turn @ np.diag([s**2, 1, 1]) @ turn.T for s in spreads]
    return joint(mixture(weights, centres, covariances), "xyz").entropy(seed=seed), truth


def conditional_information(rng, seed):
    """I(x; y | z) of a turned mixture whose x, y are Gaussian given z: closed, but not to us."""
    weights, means, spreads = components(rng)
    r = rng.uniform(-0.9, 0.9)
    slope = rng.normal(size=2)
    centres = [[slope[0] * m, slope[1] * m, m] for m in means]
    covariances = []
    for s in spreads:
        c = np.zeros((3, 3))
        c[:2, :2] = [[1, r], [r, 1]]
        through = np.array([slope[0], slope[1], 1.0]) * s
        covariances.append(c + np.outer(through, through))
    p = joint(mixture(weights, centres, covariances), "xyz")
    return p.mutual_information("x", "y", given="z", seed=seed), -0.5 * math.log(1 - r**2)


def many_coins(rng, seed, d=20):
    """H of d exchangeable coins, a mixture of two biases: a sum over the number of heads."""
    bias, weight = rng.uniform(0.1, 0.9, 2), rng.uniform(0.2, 0.8)
    parts = []
    for b in bias:
        coins = Bernoulli(jnp.full(d, math.log(b / (1 - b))))
        parts.append(Independent((coins,), (coins,), (tuple(range(d)),)))
    weights = np.array([weight, 1 - weight])
    heads = np.arange(d + 1)[:, None]
    log_p = logsumexp(
        np.log(weights) + heads * np.log(bias) + (d - heads) * np.log1p(-bias), axis=1
    )
    ways = gammaln(d + 1) - gammaln(heads[:, 0] + 1) - gammaln(d - heads[:, 0] + 1)
    p = joint(
        Mixture(jnp.log(jnp.asarray(weights)), stack_modules(parts)),
        [f"c{i}" for i in range(d)],
        (2,) * d,
    )
    return p.entropy(seed=seed), -float(np.exp(ways + log_p) @ log_p)


def box(rng, seed):
    """P(low < x <= high) of three correlated columns of a mixture of Gaussians."""
    weights, means, _ = components(rng)
    centres, covariances, truth = [], [], 0.0
    low = rng.uniform(-2, 0, 3)
    high = low + rng.uniform(1, 4, 3)
    for w, m in zip(weights, means):
        half = rng.normal(size=(3, 3))
        c, at = half @ half.T + 0.3 * np.eye(3), rng.normal(size=3) + m / 3
        centres.append(at)
        covariances.append(c)
        normal = stats.multivariate_normal(at, c, abseps=1e-7, releps=1e-7, seed=0)
        truth += w * normal.cdf(high, lower_limit=low)
    p = joint(mixture(weights, centres, covariances), "xyz")
    text = ", ".join(f"{a} < {n} <= {b}" for n, a, b in zip("xyz", low, high))
    return p.ask(f"P({text})", seed=seed), truth


KINDS = {
    "H(x), mixture on the line": entropy_on_the_line,
    "H(x), on request": entropy_on_request,
    "KL(p || q), mixtures": divergence,
    "JS(p || q), mixtures": jensen_shannon,
    "I(y; x), class and number": class_and_number,
    "H(x, y, z), turned mixture": entropy_of_turned_mixture,
    "I(x; y | z), mixture": conditional_information,
    "H of 20 coins": many_coins,
    "P(box), mixture": box,
}


def main():
    print(machine("pofx", "jax"))
    each = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    covered, total = 0, 0
    print(f"{'':<28} {'problems':>8} {'covered':>8} {'mean z':>7} {'sd z':>6} {'median error':>13}")
    for number, (name, ask) in enumerate(KINDS.items()):
        z, errors = [], []
        for i in range(each):
            answer, truth = ask(np.random.default_rng([number, i]), i)
            assert answer.kind == "estimate", (name, answer)
            z.append((float(answer) - truth) / answer.stderr)
            errors.append(answer.stderr)
        z = np.array(z)
        inside = np.abs(z) < 1.96
        covered, total = covered + inside.sum(), total + each
        print(
            f"{name:<28} {each:>8} {100 * inside.mean():>7.1f}% {z.mean():>7.2f} "
            f"{z.std():>6.2f} {np.median(errors):>13.2g}",
            flush=True,
        )
    share = covered / total
    error = math.sqrt(share * (1 - share) / total)
    print(f"{'all':<28} {total:>8} {100 * share:>7.1f}% ± {100 * error:.1f} %")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
