"""Posteriors of latent variables, compared with enumeration and the normal equations."""

from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from pofx import Joint, PofxError, Schema, Variable
from pofx.core.rows import make_rows
from pofx.models.factor_analysis import FactorAnalysis
from pofx.models.importance_sampled import ImportanceSampled
from pofx.models.independent import Independent
from pofx.models.latent_tree import LatentTree
from pofx.models.mixture import Mixture
from pofx.models.ppca import PPCA
from pofx.queries.latent import latent


def example(cls, missing=1):
    """A model, and possible rows of it with one missing cell each."""
    model = cls.example(jax.random.key(0)).model
    x = np.random.default_rng(1).integers(0, 2, (6, model.size)).astype(float)
    x[np.arange(6), (np.arange(6) + missing) % model.size] = np.nan
    return model, x


def test_responsibilities_are_bayes_rule():
    model, x = example(Mixture)
    joint = np.empty((6, 3))
    for k, weight in enumerate(np.exp(model.log_weights)):
        mean, covariance = np.array(model.parts.mean[k]), np.array(model.parts.covariance[k])
        for row, own in zip(x, joint):
            o = ~np.isnan(row)
            own[k] = weight * multivariate_normal(mean[o], covariance[np.ix_(o, o)]).pdf(row[o])
    known = joint / joint.sum(1, keepdims=True)
    np.testing.assert_allclose(latent(model, make_rows(x))["component"], known, atol=1e-5)


@pytest.mark.parametrize("cls", [PPCA, FactorAnalysis])
def test_factor_scores_are_the_regression_of_z(cls):
    model, x = example(cls)
    sigma = model.loading @ model.loading.T + np.eye(4) * model.noise
    found = latent(model, make_rows(x))["factor"]
    for row, own in zip(x, found):
        o = ~np.isnan(row)
        z = np.linalg.solve(sigma[np.ix_(o, o)], row[o] - model.mean[o])
        np.testing.assert_allclose(own, model.loading[o].T @ z, atol=1e-4)


def test_states_are_those_of_an_enumeration():
    model, x = example(LatentTree)
    found = latent(model, make_rows(x))["state"]
    evidence, log_p = eqx.filter_jit(model.evidence), eqx.filter_jit(model.tree.log_prob)
    assert found.shape == (6, 3, 2)
    for row, own in zip(x, found):
        log_e = np.array(evidence(jnp.nan_to_num(jnp.asarray(row)), jnp.asarray(~np.isnan(row))))
        known = np.zeros((3, 2))
        for states in product(range(2), repeat=3):
            s = np.array(states)
            weight = np.exp(log_p(s) + log_e[np.arange(3), s].sum())
            known[np.arange(3), s] += weight
        np.testing.assert_allclose(own, known / known.sum(1, keepdims=True), atol=1e-5)


def test_an_encoder_sees_only_what_is_there():
    model, x = example(ImportanceSampled)
    found = latent(model, make_rows(x))["latent"]
    mean = eqx.filter_jit(lambda m, x, o: m.posterior(x, o)[0])
    for row, own in zip(x, found):
        seen = np.nan_to_num(row, nan=9.0)
        np.testing.assert_allclose(own, mean(model.model, seen, ~np.isnan(row)), atol=1e-5)


def test_without_hidden_variables_there_is_nothing():
    model, x = example(Independent)
    assert latent(model, make_rows(x)) is None


def test_columns_of_a_table():
    kinds = Variable("a", "binary", levels=(0, 1)), Variable("b", "real")
    schema = Schema((*kinds, Variable("c", "binary", levels=("u", "v"))), "mapping")
    p = Joint(LatentTree.example(jax.random.key(0)).model, schema, np.full(3, np.nan), (), {})
    found = p.latent({"a": [0, None], "b": [None, 1.0], "c": ["u", "v"]})
    assert list(found) == [f"state{j}_{k}" for j in range(3) for k in range(2)]
    np.testing.assert_allclose(found["state0_0"] + found["state0_1"], 1, atol=1e-5)
    with pytest.raises(PofxError, match="without evidence"):
        p.given(a=0).latent({"b": [1.0], "c": ["u"]})
    plain = Joint(Independent.example(jax.random.key(0)).model, schema, p.fixed, (), {})
    with pytest.raises(PofxError, match="Independent has no hidden variables"):
        plain.latent({"a": [0], "b": [1.0], "c": ["u"]})
