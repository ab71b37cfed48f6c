"""Every model's example, in both float widths, with one compiled log_prob for all laws."""

from dataclasses import dataclass
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.discovery import discover
from pofx.core.distribution import Statistical, Tractable

TRACTABLE = discover("pofx.models", Tractable)
STATISTICAL = discover("pofx.models", Statistical)
ROWS = 4096


@dataclass(frozen=True)
class Case:
    """A model under the laws."""

    model: Tractable
    columns: tuple
    tolerance: float

    @property
    def size(self):
        return len(self.columns)

    def log_prob(self, x, observed):
        """log_prob of many rows, each with its own pattern, through one compiled shape."""
        x, observed = np.broadcast_arrays(x, observed)
        parts = []
        for begin in range(0, len(x), ROWS):
            some, mask = x[begin : begin + ROWS], observed[begin : begin + ROWS]
            n = len(some)
            some = np.concatenate([some, np.zeros((ROWS - n, self.size))])
            mask = np.concatenate([mask, np.zeros((ROWS - n, self.size), bool)])
            own = jnp.asarray(some, jnp.zeros(()).dtype)
            parts.append(np.asarray(_log_prob(self.model, own, jnp.asarray(mask)))[:n])
        return np.concatenate(parts).astype(np.float64)

    def sample(self, seed, n, x=None, observed=None):
        """n draws; with x and observed, of the missing entries."""
        x = np.zeros(self.size) if x is None else x
        observed = np.zeros(self.size, bool) if observed is None else observed
        keys = jax.random.split(jax.random.key(seed), n)
        own = jnp.asarray(x, jnp.zeros(()).dtype)
        return np.asarray(_sample(self.model, keys, own, jnp.asarray(observed)), np.float64)


@eqx.filter_jit
def _log_prob(model, x, observed):
    return jax.vmap(model.log_prob)(x, observed)


@eqx.filter_jit
def _sample(model, keys, x, observed):
    return jax.vmap(model.sample, (0, None, None))(keys, x, observed)


@cache
def _case(name, wide, seed):
    model, columns = TRACTABLE[name].example(jax.random.key(seed))
    return Case(model, columns, 1e-9 if wide else 2e-4)


@pytest.fixture(params=[False, True], ids=["float32", "float64"])
def wide(request):
    """Runs the law in float32, then in float64."""
    with jax.enable_x64(request.param):
        yield request.param


def pytest_collection_modifyitems(items):
    """Laws run in one width quickly, in the other with the slow tests: each compiles anew.

    So do both widths of models that are made of others, whose laws run quickly.
    """
    for item in items:
        if "laws" not in item.nodeid:
            continue
        hundreds_of_integrals = "draws_follow" in item.name
        made_of_others = any(f"[{name}-" in item.name for name in ("continuous_mixture", "stack"))
        width = "float32" if hundreds_of_integrals else "float64"
        if made_of_others or width in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=sorted(TRACTABLE))
def case(request, wide):
    """Each tractable model."""
    return _case(request.param, wide, 0)


@pytest.fixture(params=sorted(STATISTICAL))
def statistical(request, wide):
    """Each statistical model, and another instance to draw data from."""
    return _case(request.param, wide, 0), _case(request.param, wide, 1)
