"""Condition numbers of models that are normal or have normal parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.models.factor_analysis import FactorAnalysis
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent
from pofx.models.mixture import Mixture
from pofx.models.ppca import PPCA
from pofx.queries.conditioning import condition_number


@pytest.mark.parametrize("cls", [PPCA, FactorAnalysis])
def test_latent_linear_models_have_that_of_their_correlations(cls):
    p = cls.example(jax.random.key(0)).model
    covariance = np.asarray(p.loading @ p.loading.T + jnp.eye(p.size) * p.noise)
    unit = np.sqrt(np.diag(covariance))
    expected = np.linalg.cond(covariance / np.outer(unit, unit))
    assert condition_number(p) == pytest.approx(expected, rel=1e-4)


def test_the_worst_part_of_a_mixture_counts():
    covariance = jnp.array([[1.0, 0.0], [0.0, 1.0]]), jnp.array([[4.0, 1.8], [1.8, 1.0]])
    parts = [Gaussian.from_moments(jnp.zeros(2), c) for c in covariance]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)
    assert condition_number(Mixture(jnp.zeros(2), stacked)) == pytest.approx(19, rel=1e-4)


def test_columns_without_correlations_cost_nothing():
    assert condition_number(Independent.example(jax.random.key(0)).model) == 1
