"""Importance-sampled models, compared with sums over all states."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax

from pofx.core.rows import make_rows
from pofx.models import rbm
from pofx.models.energies import boltzmann
from pofx.models.energies.visible_units import VisibleUnits
from pofx.models.importance_sampled import ImportanceSampled
from pofx.models.independent import Independent
from pofx.queries.weight_diagnostics import diagnose_weights

from .test_rbm import binary, bits

KEY = jax.random.key(0)
N = 20_000


@pytest.fixture(scope="module")
def machine():
    """A machine of six dependent binary columns, with its exact log Z."""
    rng = np.random.default_rng(0)
    visible = VisibleUnits.from_moments(np.full(6, 0.5), np.ones(6), np.zeros(6), np.zeros(6, bool))
    p = rbm._init(KEY, jnp.asarray(1.5 * rng.normal(size=(6, 3))), visible, 16)
    return eqx.tree_at(lambda p: p.log_z, p, boltzmann.exact_log_z(p.without_chains))


@pytest.fixture(scope="module")
def poor(machine):
    """The machine with few draws of a proposal that nearly always draws unlikely rows."""
    x = bits(6)
    mass = softmax(-np.asarray(jax.vmap(machine.energy)(jnp.asarray(x, jnp.float32)), np.float64))
    likely = (mass @ x > 0.5).astype(float)
    data = make_rows(np.r_[np.tile(1 - likely, (30, 1)), likely[None]])
    proposal = Independent.from_data(KEY, data, binary(6), prior=0.0)
    proposal = proposal.m_step(data.sum(proposal.expected_statistics)[0])
    return (
        ImportanceSampled(model=machine, proposal=proposal, seed=jax.random.key_data(KEY), draws=8),
        x,
        mass,
    )


@eqx.filter_jit
def drawn(p, keys, x, observed):
    return jax.vmap(p.sample, (0, None, None))(keys, x, observed)


@eqx.filter_jit
def resampled(p, keys, x, observed):
    """Draws picked by their weights, without a Markov chain."""

    def one(key):
        rows, log_w = p.weighted_completion(key, x, observed)
        return rows[jax.random.categorical(key, log_w)]

    return jax.vmap(one)(keys)


def counts(x):
    return np.bincount((np.asarray(x) @ 2 ** np.arange(5, -1, -1)).astype(int), minlength=64)


def test_draws_of_an_energy_forget_a_poor_proposal(poor):
    p, x, mass = poor
    observed, row = np.arange(6) < 2, np.array([1.0, 0, 0, 0, 0, 0])
    fits = (x[:, :2] == row[:2]).all(1)
    truth = np.where(fits, mass, 0) / mass[fits].sum()
    keys = jax.random.split(KEY, N)
    arguments = keys, jnp.asarray(row, jnp.float32), jnp.asarray(observed)
    moved = counts(drawn(p, *arguments))
    weighted = counts(resampled(p, *arguments))
    far, near = (np.abs(c / N - truth).sum() / 2 for c in (weighted, moved))
    assert near < 0.05 < 0.2 < far
    assert moved[~fits].sum() == 0
    assert stats.chisquare(moved[fits], N * truth[fits]).pvalue > 1e-3


def test_a_complete_row_of_an_energy_is_one_number(poor):
    p, x, mass = poor
    p = eqx.tree_at(lambda p: p.model.log_z_stderr, p, jnp.asarray(0.2))
    diagnostics = diagnose_weights(p, make_rows(x))
    np.testing.assert_allclose(diagnostics.log_prob, np.log(mass), atol=1e-4)
    assert (diagnostics.ess_share == 1).all()
    assert (diagnostics.pareto_k == -np.inf).all()
    np.testing.assert_allclose(diagnostics.stderr, 0.2, rtol=1e-6)
    assert not diagnostics.unreliable.any()


def test_weights_all_alike_do_not_make_an_answer_exact(machine, poor):
    """Equal weights are not exact, because perhaps no draw had a rare level."""
    _, x, _ = poor
    likely = np.full((1000, 6), 0.0)
    likely[:, 1:] = np.arange(1000)[:, None] % 2
    data = make_rows(likely)
    proposal = Independent.from_data(KEY, data, binary(6), prior=1.0)
    proposal = proposal.m_step(data.sum(proposal.expected_statistics)[0])
    p = ImportanceSampled(model=machine, proposal=proposal, seed=jax.random.key_data(KEY), draws=16)
    holes = x[:8].astype(float)
    holes[:, 0] = np.nan
    diagnostics = diagnose_weights(p, make_rows(holes))
    assert not diagnostics.is_exact.any()
    assert (diagnostics.stderr >= 1 / 16).any()
    assert (diagnostics.stderr > 0).all()
    assert diagnostics.answer.kind == "estimate"
    assert "weighted draws" in diagnostics.answer.method
    complete = diagnose_weights(p, make_rows(x[:8]))
    assert complete.is_exact.all()
    assert complete.answer.kind == "exact"


def test_what_nothing_is_known_of_has_the_models_own_mean(poor):
    """Without evidence the model's chains give the mean, whatever the proposal is."""
    from pofx.core import closed_forms

    p, x, mass = poor
    p = eqx.tree_at(lambda p: p.model.chains, p, jnp.asarray(x[np.argsort(-mass)[:16]]))
    wide = ImportanceSampled(model=p.model, proposal=p.proposal, seed=p.seed, draws=400)
    rule = closed_forms.expectation.find(wide)
    assert rule
    mean = eqx.filter_jit(rule)(wide, jnp.zeros(6), jnp.zeros(6, bool))
    np.testing.assert_allclose(mean, mass @ x, atol=0.12)


def test_unlike_rows_have_errors_of_their_own_and_like_rows_the_same():
    p = ImportanceSampled.example(KEY).model
    x = np.asarray(jax.vmap(p.model.draw)(jax.random.split(KEY, 2)), np.float32)
    seeds = jax.random.key_data(jax.random.split(KEY, 300))

    @eqx.filter_jit
    def scored(p, seeds, x):
        def one(seed, x):
            return eqx.tree_at(lambda p: p.seed, p, seed).log_prob(x)

        return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(seeds, x)

    both = np.asarray(scored(p, seeds, x[[0, 1, 0]]))
    assert (both.std(0) > 0.01).all()
    assert abs(np.corrcoef(both.T)[0, 1]) < 0.25
    # Vector lanes may round differently.
    np.testing.assert_allclose(both[:, 0], both[:, 2], rtol=1e-6)


def test_noise_is_of_the_values_and_their_places():
    p = ImportanceSampled.example(KEY).model
    noise = jax.jit(lambda x, observed: jax.random.key_data(p.row_key(x, observed)))
    all_, two = np.full(4, True), np.array([True, True, False, False])
    zero = noise(jnp.zeros(4), all_)
    np.testing.assert_array_equal(noise(-jnp.zeros(4), all_), zero)
    np.testing.assert_array_equal(
        noise(jnp.array([1.0, 2, 3, 4]), two), noise(jnp.array([1.0, 2, jnp.inf, 0]), two)
    )
    other = noise(jnp.array([2.0, 1, 0, 0]), two)
    assert (np.asarray(noise(jnp.array([1.0, 2, 0, 0]), two)) != np.asarray(other)).any()
