"""Continuous mixtures: their quadrature, their two phases, and the finite mixture they become."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.column import Column
from pofx.core.errors import PofxError
from pofx.core.rows import log_prob, make_rows
from pofx.learn.learner import LearnerConfig, fit
from pofx.learn.sgd import train
from pofx.learn.sgd_config import SGDConfig
from pofx.models.chow_liu_tree import ChowLiuTree
from pofx.models.continuous_mixture import ContinuousMixture
from pofx.models.independent import Independent
from pofx.models.mixture import Mixture

from .conftest import real, scores

pytestmark = pytest.mark.slow  # each test compiles for minutes; the laws run quickly

KEY = jax.random.key(0)
B = Column("b", "categorical", levels=3, family="categorical")
COLUMNS = (*real(2, 0.01), B)
SMALL = {"part": "independent", "width": 8, "depth": 1, "latent": 2, "points": 16}


def table(n=256, seed=0, missing=0.0):
    """Two clusters that differ in every column."""
    rng = np.random.default_rng(seed)
    side = rng.random(n) < 0.5
    x = np.column_stack([np.where(side, 3, -3), np.where(side, -2, 2)]) + rng.normal(size=(n, 2))
    b = np.where(rng.random(n) < 0.8, 2 * side, 1)
    x = np.column_stack([x, b])
    return np.where(rng.random(x.shape) < missing, np.nan, x)


def started(x, columns=COLUMNS, **options):
    return ContinuousMixture.from_data(KEY, make_rows(x), columns, **{**SMALL, **options})


@pytest.fixture(scope="module", params=["independent", "chow_liu_tree"])
def model(request):
    return started(table(), part=request.param)


def test_it_is_its_own_quadrature(model):
    x = table(12, 1, missing=0.3)
    each = []
    for z in model.points:
        raw, at = [], 0
        numbers = np.asarray(model.decoder(z))
        for shape in model.shapes:
            size = int(np.prod(shape))
            raw.append(jnp.asarray(numbers[at : at + size].reshape(shape)))
            at += size
        assert at == len(numbers)
        each.append(scores(model.part.from_unconstrained(tuple(raw)), x))
    expected = np.logaddexp.reduce(each) - np.log(len(each))
    np.testing.assert_allclose(scores(model, x), expected, rtol=1e-5, atol=1e-5)
    compiled = model.mixture()
    assert isinstance(compiled, Mixture)
    np.testing.assert_allclose(scores(compiled, x), expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(np.asarray(each), axis=0).max() > 0.01, "all points decode to the same model"


def test_where_the_decoder_says_zero_stands_the_part(model):
    raw = tuple(jnp.zeros(shape) for shape in model.shapes)
    same = model.part.from_unconstrained(raw)
    x = table(20, 2, missing=0.2)
    np.testing.assert_allclose(scores(same, x), scores(model.part, x), rtol=1e-5, atol=1e-5)


def test_zeros_are_the_part_where_levels_are_impossible():
    x = table(60)
    x = x[x[:, 2] != 1]
    part = ChowLiuTree.from_data(KEY, make_rows(x[:, [2]]), (B,), prior=0.0)
    same = part.from_unconstrained(tuple(jnp.zeros(s) for s in part.raw_shapes((B,))))
    np.testing.assert_allclose(scores(same, [[0], [1], [2]]), scores(part, [[0], [1], [2]]))
    assert scores(same, [[1]]) == -np.inf
    moved = part.from_unconstrained(tuple(jnp.ones(s) for s in part.raw_shapes((B,))))
    assert scores(moved, [[1]]) == -np.inf


def quick(model, x, epochs=25):
    return train(KEY, model, make_rows(x), settings=SGDConfig(epochs=epochs, rate=1e-2, batch=64))


@pytest.fixture(scope="module")
def trained():
    start = started(table())
    return start, quick(start, table()).model


def test_training_separates_clusters(trained):
    start, end = trained
    fresh = table(400, 3)
    before, alone, after = (scores(m, fresh).mean() for m in (start, start.part, end.mixture()))
    assert after > before + 0.3
    # Independent columns cannot represent clusters that differ in every column.
    assert after > alone + 0.5


def test_then_come_points_and_weights_alone(trained):
    _, end = trained
    second = end.next_phase()
    assert second.learns_points
    assert second.next_phase() is None
    flags = second.trainable_mask()
    assert flags.points is True
    assert flags.log_weights is True
    assert not any(jax.tree.leaves((flags.decoder, flags.part, flags.grid)))
    x = table(128)
    last = quick(second, x, epochs=3).model
    same = eqx.tree_equal((last.decoder, last.part, last.grid), (end.decoder, end.part, end.grid))
    assert bool(same)
    assert not np.array_equal(last.points, end.points)
    assert not np.array_equal(last.log_weights, end.log_weights)
    assert scores(last, x).mean() > scores(end, x).mean()
    # The first phase trains only the decoder.
    flags = end.trainable_mask()
    assert all(jax.tree.leaves(flags.decoder))
    assert not any(jax.tree.leaves((flags.part, flags.grid, flags.points, flags.log_weights)))


@pytest.mark.slow
def test_longer_sequences_only_while_they_gain(trained):
    _, end = trained
    asked = []

    def gains_until(most):
        def score(p):
            asked.append(len(p.log_weights))
            noise = np.random.default_rng(len(asked)).normal(scale=1e-3, size=50)
            return min(len(p.log_weights), most) / 100 + noise

        return score

    assert len(end.finalise(KEY, None, gains_until(64)).log_weights) == 64
    assert asked == [16, 32, 64, 128]
    asked.clear()
    assert len(end.finalise(KEY, None, gains_until(16)).log_weights) == 16
    assert asked == [16, 32]
    # Trained points are not replaced.
    assert len(end.next_phase().finalise(KEY, None, gains_until(64)).log_weights) == 16


def test_both_phases_by_the_learner():
    x = table(200)
    plan = LearnerConfig(epochs=2)
    result = fit(
        KEY, lambda key, data: started_by(data), make_rows(x), plan, make_rows(table(100, 4))
    )
    assert isinstance(result.model, Mixture)
    assert 2 < len(result.history) <= 4, "at most this many epochs per phase"
    assert np.isfinite(result.history).all()
    assert np.isfinite(log_prob(result.model, make_rows(x))).all()


def started_by(data):
    return ContinuousMixture.from_data(KEY, data, COLUMNS, **SMALL)


@pytest.mark.parametrize("part", ["independent", "chow_liu_tree"])
def test_missing_cells_do_no_harm(part):
    x = table(96, 5, missing=0.4)
    x[0], x[1:40, 1] = np.nan, np.nan
    result = quick(started(x, part=part), x, epochs=2)
    assert result.skipped == 0
    assert np.isfinite([e.train for e in result.history]).all()
    assert all(np.isfinite(a).all() for a in jax.tree.leaves(result.model.decoder))
    assert np.isfinite(scores(result.model, x)).all()


@pytest.mark.slow
def test_one_column():
    x = table(64)[:, :1]
    for part in ("independent", "chow_liu_tree"):
        start = started(x, COLUMNS[:1], part=part, latent=1)
        end = quick(start, x, epochs=5).model
        at = np.linspace(-100, 100, 8001)[:, None]
        assert np.exp(scores(end, at)).sum() * 0.025 == pytest.approx(1, abs=1e-3)
        assert np.exp(scores(end, [[np.nan]])) == pytest.approx(1, abs=1e-5)


def test_a_part_that_networks_cannot_state():
    with pytest.raises(PofxError, match="no part 'gaussian'; there are: chow_liu_tree, indep"):
        started(table(20), part="gaussian")


def test_equal_keys_give_equal_models():
    one, other, another = (
        ContinuousMixture.from_data(k, make_rows(table(40)), COLUMNS, **SMALL)
        for k in (KEY, KEY, jax.random.key(1))
    )
    assert bool(eqx.tree_equal(one, other))
    assert not np.array_equal(one.grid, another.grid)
    assert isinstance(one.part, Independent)
