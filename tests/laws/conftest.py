"""The example of every model, in both float widths, with one compiled log_prob for all laws."""

from dataclasses import dataclass
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.abstract import AbstractEMSteps, AbstractQueryable, AbstractTractable
from pofx.core.abstract_approximate import AbstractImportanceSampled
from pofx.core.registry import discover

TRACTABLE = {
    name: cls
    for name, cls in discover("pofx.models", AbstractQueryable).items()
    if not issubclass(cls, AbstractImportanceSampled)
}
STATISTICAL = discover("pofx.models", AbstractEMSteps)
ROWS = 4096
DERIVED_MODELS = ("conditional", "continuous_mixture", "ppca", "stack")
SLOW_LAWS = (
    "test_a_box_around_everything_is_no_evidence",
    "test_a_closed_divergence_is_what_draws_say",
    "test_kl_of_equals_is_zero_and_of_others_positive",
    "test_learning_from_many_draws_finds_the_model",
    "test_moments_are_those_of_draws",
    "test_product_rule_by_the_conditional_as_a_model",
    "test_quantiles_invert_the_distribution_function",
    "test_shared_and_own_patterns_agree",
    "test_the_conditional_of_a_column_is_the_ratio_of_densities",
)


@dataclass(frozen=True)
class Case:
    """A model under test, its columns, and the tolerance of its float width."""

    model: AbstractTractable
    columns: tuple
    tolerance: float

    @property
    def size(self):
        return len(self.columns)

    def log_prob(self, x, observed):
        """log_prob of many rows, each with its own pattern, in blocks of one compiled shape."""
        x, observed = np.broadcast_arrays(x, observed)
        parts = []
        for begin in range(0, len(x), ROWS):
            block, mask = x[begin : begin + ROWS], observed[begin : begin + ROWS]
            n = len(block)
            block = np.concatenate([block, np.zeros((ROWS - n, self.size))])
            mask = np.concatenate([mask, np.zeros((ROWS - n, self.size), bool)])
            rows = jnp.asarray(block, jnp.zeros(()).dtype)
            parts.append(np.asarray(_log_prob(self.model, rows, jnp.asarray(mask)))[:n])
        return np.concatenate(parts).astype(np.float64)

    def sample(self, seed, n, x=None, observed=None):
        """n draws of new rows, or of the missing entries of x if x and `observed` are given."""
        x = np.zeros(self.size) if x is None else x
        observed = np.zeros(self.size, bool) if observed is None else observed
        keys = jax.random.split(jax.random.key(seed), n)
        row = jnp.asarray(x, jnp.zeros(()).dtype)
        return np.asarray(_sample(self.model, keys, row, jnp.asarray(observed)), np.float64)


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
    """Runs the test in float32, then in float64."""
    with jax.enable_x64(request.param):
        yield request.param


def pytest_collection_modifyitems(items):
    """Marks as slow one of the two float widths of each law, because each width compiles anew.

    Slow in both widths are models that are made of others or are another model in other words, and
    laws that other laws imply or that need many draws.
    """
    for item in items:
        if "laws" not in item.nodeid:
            continue
        hundreds_of_integrals = "draws_follow" in item.name
        follows = any(f"[{name}-" in item.name for name in DERIVED_MODELS)
        long = item.name.partition("[")[0] in SLOW_LAWS
        width = "float32" if hundreds_of_integrals else "float64"
        if follows or long or width in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=sorted(TRACTABLE))
def case(request, wide):
    """Each tractable model."""
    return _case(request.param, wide, 0)


@pytest.fixture(params=sorted(STATISTICAL))
def statistical(request, wide):
    """Each EM model, and another instance to draw data from."""
    return _case(request.param, wide, 0), _case(request.param, wide, 1)
