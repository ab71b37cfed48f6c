"""One EM step and scoring of a full-covariance Gaussian mixture, beside the peers.

    python benchmarks/gaussian_mixture.py [--rows 50000] [--columns 16] [--components 16]

All start from the same parameters on the same rows, and one step must lead all to the same
log-likelihood, or the comparison would be of different work. pofx and pomegranate run compiled or
eager as their users run them; compilation of pofx is timed apart. scikit-learn's step is its own
`_e_step` and `_m_step`, what `fit` repeats.
"""

import argparse
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from timing import in_turn, machine

from pofx.core.component_axis import stack_modules
from pofx.core.rows import make_rows
from pofx.learn.em import em_step
from pofx.models.gaussian import Gaussian
from pofx.models.mixture import Mixture
from pofx.queries.density import log_prob

FLOOR = 1e-6
"""Added by scikit-learn to each variance; small against the data's."""


def data(n, d, k, seed=0):
    """Rows of k Gaussian clusters, and the parameters that everybody starts from."""
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(k, d))
    turns = rng.normal(size=(k, d, d)) / np.sqrt(d)
    owner = rng.integers(0, k, n)
    x = np.einsum("nij,nj->ni", turns[owner], rng.normal(size=(n, d))) + centres[owner]
    x += 0.1 * rng.normal(size=x.shape)
    means = x[rng.choice(n, k, replace=False)]
    return x, means, np.tile(np.eye(d), (k, 1, 1))


def ours(x, means, covariances):
    k = len(means)
    parts = stack_modules(
        [Gaussian.from_moments(jnp.asarray(m), jnp.asarray(c)) for m, c in zip(means, covariances)]
    )
    return Mixture(jnp.full(k, -jnp.log(k)), parts), make_rows(x)


def sklearn_mixture(x, means, covariances):
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(len(means), covariance_type="full", reg_covar=FLOOR)
    model.weights_ = np.full(len(means), 1 / len(means), x.dtype)
    model.means_ = means.astype(x.dtype)
    model.covariances_ = covariances.astype(x.dtype)
    model.precisions_cholesky_ = (
        np.linalg.inv(np.linalg.cholesky(covariances)).transpose(0, 2, 1).astype(x.dtype)
    )
    return model


def sklearn_step(model, x):
    _, log_responsibilities = model._e_step(x)
    model._m_step(x, log_responsibilities)


def pomegranate_mixture(x, means, covariances):
    try:
        import torch
        from pomegranate.distributions import Normal
        from pomegranate.gmm import GeneralMixtureModel
    except ImportError:
        return None, None
    torch.set_num_threads(max(torch.get_num_threads(), 2))
    parts = [
        Normal(torch.tensor(m, dtype=torch.float32), torch.tensor(c, dtype=torch.float32))
        for m, c in zip(means, covariances)
    ]
    return GeneralMixtureModel(parts), torch.tensor(x, dtype=torch.float32)


def pomegranate_step(model, x):
    model.summarize(x)
    model.from_summaries()


def compare(x, start, dtype, rounds):
    """Times of all at one float width, and the likelihoods that one step leads to."""
    means, covariances = start
    model, table = ours(x, means, covariances)
    began = time.perf_counter()
    after, _ = jax.block_until_ready(em_step(model, table))
    log_prob(after, table)
    compiled = time.perf_counter() - began
    array = x.astype(dtype)
    reached = {"pofx": log_prob(after, table).mean()}
    works = {"pofx": lambda: jax.block_until_ready(eqx.filter(em_step(model, table), eqx.is_array))}
    scores = {"pofx": lambda: log_prob(model, table)}
    peer = sklearn_mixture(array, means, covariances)
    sklearn_step(peer, array)
    reached["scikit-learn"] = peer.score(array)
    works["scikit-learn"] = lambda: sklearn_step(peer, array)
    scores["scikit-learn"] = lambda: peer.score_samples(array)
    if dtype == np.float32:
        other, tensor = pomegranate_mixture(x, means, covariances)
        if other is not None:
            pomegranate_step(other, tensor)
            reached["pomegranate"] = float(other.log_probability(tensor).mean())
            works["pomegranate"] = lambda: pomegranate_step(other, tensor)
            scores["pomegranate"] = lambda: other.log_probability(tensor)
    return in_turn(works, rounds), in_turn(scores, rounds), reached, compiled


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rows", 50000), ("columns", 16), ("components", 16), ("rounds", 9)):
        parser.add_argument(f"--{name}", type=int, default=default)
    a = parser.parse_args()
    print(machine("pofx", "jax", "scikit-learn", "pomegranate", "torch"))
    print(f"{a.rows} rows, {a.columns} columns, {a.components} components, full covariance")
    x, *start = data(a.rows, a.columns, a.components)
    print(
        f"{'':>14} {'':>8} {'EM step, ms':>12} {'ratio':>6} {'scoring, ms':>12} {'ratio':>6} "
        f"{'log-likelihood after a step':>28}"
    )
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype == np.float64):
            steps, scores, reached, compiled = compare(x, start, dtype, a.rounds)
        for name in steps:
            print(
                f"{name:>14} {np.dtype(dtype).name:>8} {1e3 * steps[name]:>12.1f} "
                f"{steps[name] / steps['pofx']:>6.1f} {1e3 * scores[name]:>12.1f} "
                f"{scores[name] / scores['pofx']:>6.1f} {reached[name]:>28.6f}"
            )
        print(f"{'':>14} pofx compiled in {compiled:.1f} s, once for a shape")


if __name__ == "__main__":
    main()
