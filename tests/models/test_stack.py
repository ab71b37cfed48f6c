"""Stacks: mixtures of models of different structures, and forests of trees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core import closed_forms
from pofx.core.column import Column
from pofx.core.errors import PofxError
from pofx.core.rows import make_rows
from pofx.learn.em import em_step, fit_em
from pofx.models.continuous_mixture import ContinuousMixture
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent
from pofx.models.latent_tree import LatentTree
from pofx.models.stack import Stack

from .conftest import draws, learn, real, scores

pytestmark = pytest.mark.slow  # each compiles for minutes; tests/laws is quick

KEY = jax.random.key(0)
B = Column("b", "binary", levels=2, family="bernoulli")
COLUMNS = (*real(2), B)


def table(n=200, seed=0):
    """Two numbers and a bit; the correlation is positive in half of the rows, else negative."""
    rng = np.random.default_rng(seed)
    side = rng.choice([-1, 1], n)
    z = rng.normal(size=n)
    return np.column_stack([z + 3 * side, side * z + 0.3 * rng.normal(size=n), rng.random(n) < 0.3])


@pytest.fixture(scope="module")
def mixed():
    """A stack of a fitted independent model and a fitted latent tree."""
    x = table()
    parts = (
        learn(Independent, x, COLUMNS).model,
        learn(LatentTree, x, COLUMNS, states=2, steps=500, tolerance=1e-3).model,
    )
    return Stack(jnp.log(jnp.array([0.25, 0.75])), parts)


HOLED = np.where(np.random.default_rng(1).random((20, 3)) < 0.4, np.nan, table(20, 1))


def each(model, x):
    """log w_i + log p_i(x) for each part i and row x."""
    w = np.asarray(jax.nn.log_softmax(model.log_weights), float)
    return w[:, None] + np.stack([scores(part, x) for part in model.parts])


def test_log_prob_is_that_of_the_mixture(mixed):
    np.testing.assert_allclose(
        scores(mixed, HOLED), np.logaddexp.reduce(each(mixed, HOLED)), rtol=1e-5, atol=1e-5
    )
    # Only weight ratios matter.
    more = Stack(mixed.log_weights + 5, mixed.parts)
    np.testing.assert_allclose(scores(more, HOLED), scores(mixed, HOLED), rtol=1e-5, atol=1e-5)


def test_draws_come_from_the_parts_by_their_weights():
    apart = [learn(Gaussian, table() + 100 * i, real(3)).model for i in (0, 1)]
    p = Stack(jnp.log(jnp.array([0.2, 0.8])), tuple(apart))
    drawn = draws(p, 2000)
    assert (drawn[:, 0] > 50).mean() == pytest.approx(0.8, abs=0.04)
    np.testing.assert_array_equal(drawn[:, 0] > 50, drawn[:, 1] > 50)
    # An observed cell shows which part the row is from.
    seen = jnp.array([True, False, False])
    for value in (0.0, 100.0):
        x = jnp.array([value, 0.0, 0.0])
        rows = np.asarray(jax.vmap(p.sample, (0, None, None))(jax.random.split(KEY, 50), x, seen))
        assert (abs(rows[:, 1] - value) < 20).all()


def test_a_forest_never_falls_and_beats_a_tree():
    with jax.enable_x64(True):
        x = np.where(np.random.default_rng(2).random((150, 3)) < 0.1, np.nan, table(150))
        options = {"components": 2, "part": "latent_tree", "states": 2, "prior": 0.0}
        model = Stack.from_data(KEY, make_rows(x), COLUMNS, **options)
        assert [type(part) for part in model.parts] == [LatentTree, LatentTree]
        seen = []
        for _ in range(15):
            model, value = em_step(model, make_rows(x))
            seen.append(float(value))
        assert (np.diff(seen) > -1e-10).all()
        assert seen[-1] > seen[0] + 0.01
        assert np.exp(model.log_weights).sum() == pytest.approx(1)
        assert float(value) < scores(model, x).mean() + 1e-9


def test_a_cluster_without_rows_starts_from_all():
    x = np.tile(table(1), (12, 1))
    model = Stack.from_data(KEY, make_rows(x), COLUMNS, components=3, part="independent")
    assert np.isfinite(scores(model, x)).all()
    fit = fit_em(model, make_rows(x), steps=50, tolerance=1e-3)
    assert np.isfinite(fit.history).all()


def test_components_out_of_range():
    for k in (0, 31):
        with pytest.raises(PofxError, match=f"components: expected 1 to 30, .* got {k}"):
            Stack.from_data(KEY, make_rows(table(30)), COLUMNS, components=k)
    with pytest.raises(PofxError, match="no part 'tree'"):
        Stack.from_data(KEY, make_rows(table(30)), COLUMNS, part="tree")


def test_a_column_of_the_stack_is_a_mixture_of_those_of_its_parts(mixed):
    x, seen = jnp.array([1.5, 0.0, 1.0]), jnp.array([True, False, True])
    atoms = closed_forms.conditional_column.find(mixed)(mixed, x, seen, 1)
    at = np.linspace(-4, 4, 7)
    rows_ = np.column_stack([np.full(7, 1.5), at, np.ones(7)])
    expected = scores(mixed, rows_) - scores(mixed, np.array([[1.5, np.nan, 1.0]]))
    log_w = jax.nn.log_softmax(atoms.log_weights)
    log_densities = [jax.nn.logsumexp(log_w + atoms.family.log_prob(jnp.full(3, v))) for v in at]
    np.testing.assert_allclose(np.array(log_densities), expected, atol=2e-4)


def test_the_expectation_is_that_of_the_parts_by_their_posterior(mixed):
    x, seen = jnp.array([1.5, 0.0, 0.0]), jnp.array([True, False, False])
    mean = np.asarray(closed_forms.expectation.find(mixed)(mixed, x, seen))
    grid = np.linspace(-12, 12, 2401)
    at = np.column_stack([np.full(2401, 1.5), grid, np.full(2401, np.nan)])
    density = np.exp(scores(mixed, at))
    assert mean[1] == pytest.approx(density @ grid / density.sum(), abs=1e-3)
    both = np.exp(scores(mixed, [[1.5, np.nan, 0], [1.5, np.nan, 1]]))
    assert mean[2] == pytest.approx(both[1] / both.sum(), abs=1e-4)


def test_the_probability_of_a_box_is_an_integral(mixed):
    x, seen = jnp.array([1.5, 0.0, 0.0]), jnp.array([True, False, False])
    box = closed_forms.log_prob_box.find(mixed)
    low, high = jnp.array([-0.5, 0.0]), jnp.array([1.0, 1.0])
    log_p = float(box(mixed, x, seen, (1, 2), low, high))
    grid = np.linspace(-0.5, 1.0, 1501)
    column = np.column_stack([np.full(1501, 1.5), grid, np.ones(1501)])
    density = np.exp(scores(mixed, column))
    integral = (density.sum() - (density[0] + density[-1]) / 2) * (grid[1] - grid[0])
    assert log_p == pytest.approx(np.log(integral), abs=1e-3)


def test_moments_are_those_of_draws(mixed):
    mean, covariance = closed_forms.moments.find(mixed)(mixed)
    drawn = draws(mixed, 8000)
    np.testing.assert_allclose(mean, drawn.mean(0), atol=0.15)
    np.testing.assert_allclose(covariance, np.cov(drawn.T), atol=0.4)


def test_where_a_part_has_no_closed_form_the_stack_has_none():
    tree = Independent.from_data(KEY, make_rows(table(30)[:, [2]]), (B,))
    other = learn(Gaussian, table(30)[:, [0]]).model
    pair = Stack(jnp.zeros(2), (tree, other))
    column = closed_forms.conditional_column.find(pair)
    assert column(pair, jnp.zeros(1), jnp.zeros(1, bool), 0) is None, "a bit and a number"


def test_parts_that_only_answer_cannot_be_learned():
    model, columns = ContinuousMixture.example(KEY)
    p = Stack(jnp.zeros(2), (model, model))
    x = draws(p, 10)
    np.testing.assert_allclose(scores(p, x), scores(model, x), rtol=1e-4, atol=1e-5)
    with pytest.raises(
        PofxError, match="parts: expected models that are learned from sums"
    ) as error:
        em_step(p, make_rows(x))
    assert "\n" not in str(error.value)
    assert len(columns) == p.size
