"""Mixtures of one-column families: quantiles at jumps, modes between components, far tails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from pofx.core.column import Column
from pofx.core.column_mixture import ColumnMixture, flatten
from pofx.families.inflated import Inflated
from pofx.families.normal import Normal
from pofx.families.poisson import Poisson

REAL, COUNT = Column("x", "real"), Column("n", "count")


def normals(centres, spreads=None, weights=None):
    c = jnp.asarray(centres, float)
    v = jnp.ones(len(c)) if spreads is None else jnp.square(jnp.asarray(spreads, float))
    w = jnp.zeros(len(c)) if weights is None else jnp.log(jnp.asarray(weights, float))
    return ColumnMixture(w, Normal(c, v, 1e-6 * v))


@pytest.mark.parametrize(
    ("low", "high"), [(8.0, np.inf), (-np.inf, -9.0), (5.0, 5.001), (-1.0, 1.0), (-np.inf, np.inf)]
)
def test_draws_from_within_an_interval_keep_to_it_however_far_out(low, high):
    p = normals([0.0, 0.5])
    keys = jax.random.split(jax.random.key(0), 2000)
    cut = jax.jit(jax.vmap(p.sample_truncated, (0, None, None)))
    x, log_mass = cut(keys, jnp.array([low]), jnp.array([high]))
    x = np.asarray(x, np.float64)
    assert ((x >= low) & (x <= high)).all()
    ends = max(low, -12.0 if high > -8 else high - 5), min(high, 12.0 if low < 8 else low + 5)

    def density(t):
        return (stats.norm.pdf(t) + stats.norm.pdf(t - 0.5)) / 2

    mass = integrate.quad(density, *ends, epsabs=0)[0]
    mean = integrate.quad(lambda t: t * density(t), *ends, epsabs=0)[0] / mass
    assert float(log_mass[0]) == pytest.approx(np.log(mass), rel=1e-4)
    assert abs(x.mean() - mean) < 4 * x.std() / np.sqrt(len(x))


def test_quantiles_of_a_mixture():
    p = normals([-3.0, 0.0, 4.0], [1.0, 0.3, 2.0], [0.2, 0.5, 0.3])
    for u in (0.001, 0.3, 0.5, 0.9, 0.9999):
        x = p.quantile(jnp.asarray(u), REAL)
        level = np.array([0.2, 0.5, 0.3]) @ stats.norm.cdf(
            (float(x) - np.array([-3.0, 0.0, 4.0])) / [1.0, 0.3, 2.0]
        )
        assert level == pytest.approx(u, abs=1e-5)


@pytest.mark.slow
def test_quantiles_at_jumps_are_the_values_themselves():
    counts = ColumnMixture(jnp.zeros(2), Poisson(jnp.array([2.0, 9.0])))
    for u in (0.05, 0.5, 0.77):
        x = float(counts.quantile(jnp.asarray(u), COUNT))
        cdf = (stats.poisson.cdf(np.arange(40), 2) + stats.poisson.cdf(np.arange(40), 9)) / 2
        assert x == np.argmax(cdf >= u)
    spiked = Inflated(
        jnp.zeros((1, 1)), jnp.array([[0.4, 0.6]]), Normal(*jnp.array([[0.0], [1.0], [1e-6]]))
    )
    column = Column("x", "real", spikes=(0.0,))
    p = ColumnMixture(jnp.zeros(1), spiked)
    assert float(p.quantile(jnp.asarray(0.5), column)) == 0
    assert (
        float(p.quantile(jnp.asarray(0.29), column))
        < 0
        < float(p.quantile(jnp.asarray(0.71), column))
    )
    assert float(p.mode(column)) == 0


@pytest.mark.slow
def test_the_mode_may_lie_between_the_components():
    close = normals([-0.5, 0.5])
    assert float(close.mode(REAL)) == pytest.approx(0, abs=2e-2)
    far = normals([-3.0, 3.0], weights=[0.4, 0.6])
    assert float(far.mode(REAL)) == pytest.approx(3, abs=1e-3)


def test_moments_of_mixtures_of_mixtures():
    inner = jax.tree.map(lambda *a: jnp.stack(a), normals([0.0, 1.0]), normals([5.0, 7.0]))
    p = flatten(jnp.log(jnp.array([0.25, 0.75])), inner)
    w, centres = np.array([0.125, 0.125, 0.375, 0.375]), np.array([0, 1, 5, 7])
    assert float(p.mean()) == pytest.approx(w @ centres)
    assert float(p.variance()) == pytest.approx(1 + w @ centres**2 - (w @ centres) ** 2, rel=1e-5)
