"""The laws of weighted draws, for every approximate model and a proposal."""

from functools import cache
from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.abstract_approximate import (
    AbstractApproximate,
    AbstractDirectConditionals,
    AbstractEnergyModel,
    AbstractImportanceSampled,
    AbstractPointwise,
)
from pofx.core.closed_forms import with_masks
from pofx.core.registry import discover
from pofx.core.rows import make_rows
from pofx.joint.model_file import read_model_file, write_model_file
from pofx.models.importance_sampled import ImportanceSampled
from pofx.models.independent import Independent

INEXACT = discover("pofx.models", AbstractApproximate)
DRAWS = 20_000


@cache
def example(name, wide):
    """A model, its columns, and independent columns learned from its draws as the proposal."""
    model, columns = INEXACT[name].example(jax.random.key(0))
    x = np.asarray(draw_rows(model, jax.random.split(jax.random.key(9), 2000)), np.float64)
    data = make_rows(x)
    proposal = Independent.from_data(jax.random.key(0), data, columns)
    return model, columns, proposal.m_step(data.sum(proposal.expected_statistics)[0]), x


QUICK = ("vae",)
CASES = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in sorted(INEXACT)
]


@pytest.fixture(params=CASES)
def case(request, wide):
    return example(request.param, wide)


@pytest.fixture(params=CASES)
def narrow_case(request):
    """In float32 only, for what compiles much."""
    return example(request.param, False)


@eqx.filter_jit
def draw_rows(model, keys):
    return jax.lax.map(model.draw, keys, batch_size=500)


@eqx.filter_jit
def weighted(model, proposal, keys, x, observed):
    def one(key):
        return model.weighted_completion(key, proposal, x, observed)

    return jax.lax.map(one, keys, batch_size=1000)


def weights(case, x, observed, seed=1, draws=DRAWS):
    """Draws of the missing entries, and their weights."""
    model, _, proposal, _ = case
    keys = jax.random.split(jax.random.key(seed), draws)
    row = jnp.asarray(np.where(observed, x, 0), jnp.zeros(()).dtype)
    completed, log_w = weighted(model, proposal, keys, row, jnp.asarray(observed))
    return np.asarray(completed, np.float64), np.exp(np.asarray(log_w, np.float64))


def test_weights_of_new_rows_average_to_one(case):
    x, w = weights(case, np.zeros(case[0].size), np.zeros(case[0].size, bool))
    assert np.isfinite(x).all()
    shared = 5 * float(case[0].log_z_stderr) if isinstance(case[0], AbstractEnergyModel) else 0
    assert w.mean() == pytest.approx(1, abs=5 * w.std() / np.sqrt(len(w)) + 2e-3 + shared)


def test_draws_are_those_that_weights_point_to(case):
    x, w = weights(case, np.zeros(case[0].size), np.zeros(case[0].size, bool))
    draws, share = case[3], w / w.sum()
    for power in (1, 2):
        expected = share @ x**power
        error = np.sqrt(share**2 @ (x**power - expected) ** 2)
        error = np.hypot(error, (draws**power).std(0) / np.sqrt(len(draws)))
        # Chains of a Markov sampler are not independent draws.
        assert (np.abs((draws**power).mean(0) - expected) < 6 * error + 0.05).all()


def test_a_complete_row_has_its_density(case):
    model, x = case[0], case[3]
    for row in x[:3]:
        _, w = weights(case, row, np.ones(model.size, bool))
        if isinstance(model, AbstractPointwise):
            assert w == pytest.approx(w[0], rel=1e-4)
            complete = jnp.asarray(row, jnp.zeros(()).dtype)
            assert np.log(w[0]) == pytest.approx(
                float(model.log_density(complete)), rel=1e-3, abs=1e-3
            )


def test_what_is_drawn_directly_has_one_weight(case):
    """A direct conditional has one weight for all draws, and answers need one draw."""
    model, _, proposal, x = case
    if not isinstance(model, AbstractDirectConditionals):
        pytest.skip("it draws from no conditional as it is")
    p = ImportanceSampled(model, proposal, jax.random.key_data(jax.random.key(3)))
    ask = eqx.filter_jit(lambda p, x, o: (p.log_prob(x, o), p.sample(jax.random.key(1), x, o)))
    row, count = jnp.asarray(x[0], jnp.zeros(()).dtype), 0
    for observed in product((False, True), repeat=model.size):
        seen = jnp.array(observed)
        if model.draws_exactly(seen) and any(observed):
            draws, w = weights(case, x[0], np.array(observed), draws=100)
            assert w == pytest.approx(w[0], rel=1e-4)
            log_prob, draw = ask(p, row, seen)
            assert float(log_prob) == pytest.approx(np.log(w[0]), rel=1e-4, abs=1e-5)
            assert len(np.unique(draws[:, ~np.array(observed)], axis=0)) > 1
            assert (draw[seen] == row[seen]).all()
            count += 1
    assert count


def test_sum_rule_within_the_error(case):
    """The sum or integral of the estimates over one entry is the estimate without that entry."""
    model, columns, _, x = case
    row, observed = x[0], np.ones(model.size, bool)
    column = columns[-1]
    observed[-1] = False
    _, w = weights(case, row, observed)
    if column.discrete:
        points, step = np.arange(column.levels), 1.0
    else:
        points = x[:, -1].mean() + 12 * x[:, -1].std() * np.linspace(-1, 1, 241)
        step = points[1] - points[0]
    total, variance = 0.0, 0.0
    for point in points:
        _, point_weights = small(case, np.r_[row[:-1], point])
        total += point_weights.mean() * step
        variance += point_weights.var() / len(point_weights) * step**2
    error = np.hypot(w.std() / np.sqrt(len(w)), np.sqrt(variance))
    assert total == pytest.approx(w.mean(), abs=5 * error + 0.01 * w.mean())


def small(case, row):
    model, _, proposal, _ = case
    keys = jax.random.split(jax.random.key(2), 2 if isinstance(model, AbstractPointwise) else 2000)
    complete = jnp.asarray(row, jnp.zeros(()).dtype)
    completed, log_w = weighted(model, proposal, keys, complete, jnp.ones(model.size, bool))
    return np.asarray(completed), np.exp(np.asarray(log_w, np.float64))


def test_missing_entries_may_hold_anything_and_observed_ones_stay(case):
    model, _, proposal, x = case
    p = ImportanceSampled(model, proposal, jax.random.key_data(jax.random.key(3)))
    observed = np.arange(model.size) > 0
    row = jnp.asarray(x[0], jnp.zeros(()).dtype)
    ask = eqx.filter_jit(lambda p, x, o: (p.log_prob(x, o), p.sample(jax.random.key(1), x, o)))
    log_p, draw = ask(p, row, jnp.asarray(observed))
    log_p_again, draw_again = ask(p, row.at[0].set(jnp.nan), jnp.asarray(observed))
    assert float(log_p) == float(log_p_again)
    assert (draw == draw_again).all()
    assert (draw[1:] == row[1:]).all()
    gradient = eqx.filter_grad(lambda p, x: p.log_prob(x, jnp.asarray(observed)))(p, row)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert float(ask(p, row, jnp.zeros(model.size, bool))[0]) == 0


def test_masks_known_to_the_program_change_no_answer(narrow_case):
    model, _, proposal, x = narrow_case
    p = ImportanceSampled(model, proposal, jax.random.key_data(jax.random.key(3)))
    row = jnp.asarray(x[0], jnp.zeros(()).dtype)
    ask = eqx.filter_jit(lambda p, x, o: (p.log_prob(x, o), p.sample(jax.random.key(1), x, o)))
    kinds = set()
    for observed in product((False, True), repeat=model.size):
        mask = np.array(observed)
        known = with_masks(p, mask[None])
        if known.masks in kinds:
            continue
        kinds.add(known.masks)
        (log_p, draw), (expected, expected_draw) = (ask(q, row, mask) for q in (known, p))
        assert float(log_p) == pytest.approx(float(expected), rel=1e-5, abs=1e-5)
        np.testing.assert_allclose(draw, expected_draw, rtol=1e-5, atol=1e-5)
    assert {"any", "complete", "empty"} <= kinds or isinstance(model, AbstractDirectConditionals)
    assert ("direct" in kinds) == isinstance(model, AbstractDirectConditionals)


def test_files_keep_every_bit(case, tmp_path):
    model, _, proposal, x = case
    p = ImportanceSampled(model, proposal, jax.random.key_data(jax.random.key(3)))
    assert isinstance(p, AbstractImportanceSampled)
    header = {"schema": {}, "fixed": [], "evidence": [], "fit": {}}
    write_model_file(tmp_path / "p.pofx", p, header)
    q, _ = read_model_file(tmp_path / "p.pofx")
    for saved, loaded in zip(jax.tree.leaves(p), jax.tree.leaves(q), strict=True):
        np.testing.assert_array_equal(saved, loaded)
    row, observed = jnp.asarray(x[0], jnp.zeros(()).dtype), jnp.arange(p.size) > 0
    ask = eqx.filter_jit(lambda p: p.log_prob(row, observed))
    assert float(ask(p)) == float(ask(q))
