"""Both float widths, and the few lines by which model tests fit and score."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.column import Column
from pofx.core.rows import make_rows
from pofx.learn.em import fit_em

WIDE = pytest.param(True, marks=pytest.mark.slow, id="float64")


@pytest.fixture(params=[pytest.param(False, id="float32"), WIDE])
def wide(request):
    """Runs the test in float32, then in float64."""
    with jax.enable_x64(request.param):
        yield request.param


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def real(d, resolution=0.0):
    """d real columns."""
    return tuple(Column(f"x{i}", "real", resolution=resolution, family="normal") for i in range(d))


def learn(cls, x, columns=None, *, weight=None, steps=1000, tolerance=1e-6, seed=0, **options):
    """`fit_em` from the class's own start."""
    data = make_rows(np.asarray(x, float), weight=weight)
    columns = columns or real(data.x.shape[-1])
    start = cls.from_data(jax.random.key(seed), data, columns, **options)
    return fit_em(start, data, steps=steps, tolerance=tolerance)


def scores(model, x):
    """log_prob of each row of x, NaN what is missing."""
    x = np.asarray(x, float)
    own = jnp.asarray(np.nan_to_num(x), jnp.zeros(()).dtype)
    return np.asarray(_scores(model, own, jnp.asarray(~np.isnan(x))), np.float64)


def draws(model, n, seed=0):
    """n new rows."""
    return np.asarray(_draws(model, jax.random.split(jax.random.key(seed), n)))


@eqx.filter_jit
def _scores(model, x, observed):
    return jax.vmap(model.log_prob)(x, observed)


@eqx.filter_jit
def _draws(model, keys):
    return jax.vmap(model.sample)(keys)


def slopes(model, x):
    """The gradient of the mean log-likelihood of x in the arrays of the model, as a model."""
    x = np.asarray(x, float)
    own = jnp.asarray(np.nan_to_num(x), jnp.zeros(()).dtype)
    return _slopes(model, own, jnp.asarray(~np.isnan(x)))


@eqx.filter_jit
@eqx.filter_grad
def _slopes(model, x, observed):
    return jax.vmap(model.log_prob)(x, observed).mean()
