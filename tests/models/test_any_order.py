"""The order-agnostic model, compared with an enumeration of its orders."""

from dataclasses import replace
from itertools import permutations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

import pofx
from pofx.core.rows import make_rows
from pofx.learn.learner import LearnerConfig, fit
from pofx.learn.sgd import train
from pofx.learn.sgd_config import SGDConfig
from pofx.models.any_order import AnyOrder
from pofx.models.importance_sampled import ImportanceSampled
from pofx.models.independent import Independent

from .test_autoregressive import (
    KEY,
    MIXED_COLUMNS,
    SLOWLY,
    SMALL,
    binary,
    mixed,
    noisy,
    states,
    truth,
)

pytestmark = pytest.mark.slow

COLUMNS = (MIXED_COLUMNS[0], MIXED_COLUMNS[3], MIXED_COLUMNS[4])
ORDERS = list(permutations(range(3)))


def table(n=64, seed=0):
    return mixed(n, seed)[:, [0, 3, 4]]


@pytest.fixture(scope="module", params=SLOWLY)
def model(request):
    """A model of three mixed columns whose orders disagree."""
    return noisy(AnyOrder.from_data(KEY, make_rows(table()), COLUMNS, net=request.param, **SMALL))


@eqx.filter_jit
def _conditional(model, x, seen):
    return model.heads.log_probs(model.raw(x, seen), x, ~seen)


def along(model, order, x, observed):
    """log p of the observed entries along an order in which they come first."""
    total, seen = 0.0, np.zeros(len(x), bool)
    for j in order:
        if observed[j]:
            total += float(_conditional(model, jnp.asarray(x), jnp.asarray(seen))[j])
            seen[j] = True
    return total


def every(model, x, observed):
    """log p along each of the equally likely orders of the observed entries."""
    return np.array([along(model, order, x, observed) for order in ORDERS])


@eqx.filter_jit
def _weighted(model, keys, x, observed):
    return jax.vmap(lambda k: model.weighted_completion(k, None, x, observed))(keys)


PATTERNS = [[True, True, True], [True, False, True], [False, True, False]]


@pytest.mark.parametrize("observed", PATTERNS)
def test_weights_are_densities_along_orders(model, observed):
    observed, x = np.array(observed), table(1, 1)[0].astype(np.float32)
    expected = every(model, x, observed)
    filled = jnp.asarray(np.where(observed, x, 0))
    whole, log_w = _weighted(model, jax.random.split(KEY, 600), filled, jnp.asarray(observed))
    log_w = np.asarray(log_w, np.float64)
    off = np.abs(log_w[:, None] - expected)
    assert off.min(1).max() < 1e-4, "a weight that belongs to no order"
    assert off.min(0).max() < 1e-4, "an order that was never drawn"
    assert np.array_equal(np.asarray(whole)[:, observed], np.tile(x[observed], (600, 1)))
    # The mean weight is the mean over orders; the mean log-weight is lower.
    w = np.exp(log_w)
    assert w.mean() == pytest.approx(np.exp(expected).mean(), abs=5 * w.std() / np.sqrt(600) + 1e-6)
    if observed.sum() > 1:
        assert np.ptp(expected) > 1e-2, "orders agree, so this tests nothing"
        assert log_w.mean() < np.log(w.mean()) - 1e-5


def test_orders_tell_how_they_spread(model):
    x, observed = jnp.asarray(table(1, 2)[0], jnp.float32), jnp.array([True, False, True])
    expected = every(model, np.asarray(x), np.asarray(observed))
    for row in (x, x.at[1].set(jnp.nan)):
        own = np.asarray(eqx.filter_jit(model.order_log_probs)(KEY, row, observed, 40))
        assert own.shape == (40,)
        assert np.abs(own[:, None] - expected).min(1).max() < 1e-4
        assert np.ptp(own) == pytest.approx(np.ptp(expected), abs=1e-4)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("net", SLOWLY)
def test_each_order_sums_to_one(net):
    x = states(6)
    model = noisy(AnyOrder.from_data(KEY, make_rows(x), binary(6), net=net, **SMALL))
    observed = jnp.ones(6, bool)

    @eqx.filter_jit
    def scores(model, order):
        return jax.vmap(lambda r: model.draw_along(KEY, order, r, observed)[1])(jnp.asarray(x))

    rng, each = np.random.default_rng(0), []
    for _ in range(3):
        each.append(np.exp(scores(model, jnp.asarray(rng.permutation(6)))))
        assert each[-1].sum() == pytest.approx(1, abs=1e-12)
    assert np.abs(each[0] - each[1]).max() > 1e-3, "orders agree"


@pytest.mark.parametrize("net", SLOWLY)
def test_draws_follow_the_mixture_over_orders(net):
    x = states(3)
    model = noisy(AnyOrder.from_data(KEY, make_rows(x), binary(3), net=net, **SMALL))
    whole = np.ones(3, bool)
    p = np.exp([logsumexp(every(model, row, whole)) for row in x.astype(np.float32)]) / 6
    assert p.sum() == pytest.approx(1, abs=1e-4)
    draws = eqx.filter_jit(lambda m, keys: jax.vmap(m.draw)(keys))
    new = np.asarray(draws(model, jax.random.split(KEY, 4000))).astype(int)
    seen = np.bincount(new @ [4, 2, 1], minlength=8)
    assert stats.chisquare(seen, 4000 * p / p.sum()).pvalue > 1e-3
    # Given one entry all weights are equal, and the others follow p along orders starting there.
    observed = np.array([False, True, False])
    drawn, log_w = _weighted(model, jax.random.split(KEY, 4000), jnp.ones(3), jnp.asarray(observed))
    assert np.ptp(np.asarray(log_w)) < 1e-5
    first = [order for order in ORDERS if order[0] == 1]
    rest = states(2)
    given = np.zeros(4)
    for i, (a, c) in enumerate(rest):
        row = np.array([a, 1, c], np.float32)
        given[i] = np.exp([along(model, o, row, whole) for o in first]).mean()
    seen = np.bincount(np.asarray(drawn)[:, [0, 2]].astype(int) @ [2, 1], minlength=4)
    assert stats.chisquare(seen, 4000 * given / given.sum()).pvalue > 1e-3


@pytest.mark.parametrize("observed", PATTERNS)
def test_the_loss_is_the_mean_over_orders(model, observed):
    observed, x = np.array(observed), table(1, 3)[0].astype(np.float32)
    n = 8192
    holes = np.where(observed, x, np.nan)
    batch = (jnp.tile(holes, (n, 1)), jnp.tile(observed, (n, 1)))
    loss = np.asarray(eqx.filter_jit(model.loss)(KEY, *batch), np.float64)
    expected = -every(model, x, observed).mean()
    assert loss.mean() == pytest.approx(expected, abs=5 * loss.std() / np.sqrt(n) + 1e-4)
    # All sizes of the observed subset are equally likely.
    if observed.all():
        alike = eqx.filter_jit(model.loss)(KEY, batch[0], jnp.asarray(observed))
        np.testing.assert_allclose(alike, loss, rtol=1e-5)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_missing_cells_and_units_do_no_harm(unit):
    x = table(96) * [unit, 1, 1] + [5 * unit, 0, 0]
    x = np.where(np.random.default_rng(0).random(x.shape) < 0.5, np.nan, x)
    x[0] = np.nan
    start = AnyOrder.from_data(KEY, make_rows(x), COLUMNS, **SMALL)
    end = train(KEY, start, make_rows(x), settings=SGDConfig(epochs=3, batch=32, rate=1e-2))
    assert end.skipped == 0
    assert np.isfinite([e.train for e in end.history]).all()
    own, seen = jnp.asarray(x, jnp.float32), jnp.asarray(~np.isnan(x))
    validation_loss = eqx.filter_jit(end.model.validation_loss)(KEY, own, seen)
    assert np.isfinite(validation_loss).all()
    assert float(validation_loss[0]) == 0
    assert np.isfinite(eqx.filter_jit(end.model.order_log_probs)(KEY, own[1], seen[1], 4)).all()


def test_its_example_agrees_over_orders():
    """All orders agree, so the example is one joint distribution with consistent marginals."""
    p = AnyOrder.example(KEY).model
    whole = np.ones(3, bool)
    each = np.array([every(p, row, whole) for row in states(3).astype(np.float32)])
    assert np.ptp(each, axis=1).max() < 1e-3
    assert np.exp(each[:, 0]).sum() == pytest.approx(1, abs=1e-3)
    pair = np.array([True, False, True])
    own = [every(p, np.array([a, 0, c], np.float32), pair)[0] for a, c in states(2)]
    summed = np.exp(each[:, 0]).reshape(2, 2, 2).sum(1).ravel()
    np.testing.assert_allclose(np.exp(own), summed, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:columns .* follow from others")
def test_it_is_fitted_without_a_guide_that_knows_anything():
    """The model proposes by itself, so its `proposal` does not change any answer."""
    a = np.random.default_rng(0).integers(0, 2, 200)
    data = {"a": a, "b": a, "c": 1 - a}
    p = pofx.fit(data, "any_order", epochs=30, width=16)
    assert type(p.model.proposal).__name__ == "Independent"
    other = eqx.tree_at(lambda m: m.proposal.groups[0].log_odds, p.model, jnp.full(3, 9.0))
    few = {"a": [1.0], "b": [None], "c": [None]}
    found, again = (replace(p, model=m).log_prob(few) for m in (p.model, other))
    assert found.value[0] == again.value[0]
    assert np.asarray(p.impute({**few, "a": [0.0]})["b"])[0] == 0


@pytest.mark.parametrize(("net", "missing"), [("made", 0.0), ("made", 0.3), ("transformer", 0.3)])
def test_it_learns_a_distribution_to_its_entropy(net, missing):
    p, x = truth(4)
    x = x if net == "made" else x[:6000]  # attention takes longer
    holes = np.where(np.random.default_rng(1).random(x.shape) < missing, np.nan, x)
    options = {"net": net, "width": 128 if net == "made" else 32}
    first = len(x) * 9 // 10

    def start(key, data):
        return AnyOrder.from_data(key, data, binary(4), **options)

    model = fit(
        KEY, start, make_rows(holes[:first]), LearnerConfig(epochs=20), make_rows(holes[first:])
    ).model
    proposal = Independent.from_data(KEY, make_rows(x), binary(4))
    asked = ImportanceSampled(model, proposal, jax.random.key_data(KEY))
    log_q = np.asarray(
        eqx.filter_jit(lambda m, x: jax.vmap(m.log_prob)(x))(asked, jnp.asarray(states(4)))
    )
    entropy = -(p * np.log(p)).sum()
    assert -(p * log_q).sum() == pytest.approx(entropy, abs=0.05)
