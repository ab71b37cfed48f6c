"""The model p(y) p(x | y): Bayes' rule by hand, rows without y, levels without rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import pofx
from pofx.core.column import Column
from pofx.core.errors import PofxError
from pofx.core.rows import make_rows
from pofx.models.class_conditional import ClassConditional
from pofx.models.conditional import Conditional, condition
from pofx.models.gaussian import Gaussian
from pofx.models.mixture import Mixture
from pofx.queries.bayes import posterior

from .conftest import draws, learn, scores

pytestmark = pytest.mark.usefixtures("float64")

Y = Column("y", "categorical", levels=3, family="categorical")
COLUMNS = (Column("a", "real", family="normal"), Y, Column("b", "real", family="normal"))


def table(n=150, seed=0, levels=3):
    """Two numbers around one centre per level of y; y is the middle column."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, levels, n)
    x = rng.normal(size=(n, 2)) @ [[1, 0.6], [0, 0.8]] + np.stack([3 * y, -2 * y], axis=1)
    return np.stack([x[:, 0], y, x[:, 1]], axis=1)


@pytest.mark.parametrize("part", ["gaussian", "correlated", "chow_liu_tree"])
@pytest.mark.parametrize("seen", [0, 1])
def test_a_column_hardly_seen_of_a_level_keeps_the_spread_it_has_elsewhere(part, seen):
    x = table() * [50, 1, 1]
    x[np.flatnonzero(x[:, 1] == 0)[seen:], 0] = np.nan
    p = learn(ClassConditional, x, COLUMNS, on="y", part=part).model
    own = draws(p, 6000)
    own = own[own[:, 1] == 0, 0]
    elsewhere = np.nanstd(x[:, 0])
    assert 0.3 * elsewhere < own.std() < 1.5 * elsewhere


def test_it_classifies_as_bayes_rule_by_hand():
    x = table()
    fit = learn(ClassConditional, x, COLUMNS, on="y", part="gaussian", prior=0.0)
    assert len(fit.history) <= 3
    others, y = x[:, [0, 2]], x[:, 1]
    joint = []
    for level in range(3):
        own = others[y == level]
        density = stats.multivariate_normal(own.mean(0), np.cov(own.T, bias=True))
        joint.append(np.log((y == level).mean()) + density.logpdf(others))
    joint = np.stack(joint, axis=1)
    by_hand = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(posterior(fit.model, make_rows(x), 1, 3), by_hand, atol=1e-8)
    np.testing.assert_allclose(scores(fit.model, x), joint[np.arange(len(x)), y.astype(int)])
    hidden = np.where([False, True, False], np.nan, x)
    np.testing.assert_allclose(scores(fit.model, hidden), np.logaddexp.reduce(joint, axis=1))


@pytest.mark.slow
def test_rows_without_y_teach_too():
    few, many, fresh = table(12, 1), table(1500, 2), table(2000, 3)
    many[:, 1] = np.nan
    alone = learn(ClassConditional, few, COLUMNS, on="y", part="gaussian", prior=1.0).model
    fit = learn(
        ClassConditional, np.concatenate([few, many]), COLUMNS, on="y", part="gaussian", prior=1.0
    )
    assert (np.diff(fit.history) > -1e-9).all()
    assert scores(fit.model, fresh).mean() > scores(alone, fresh).mean() + 0.1
    guess = posterior(fit.model, make_rows(fresh), 1, 3).argmax(1)
    assert (guess == fresh[:, 1]).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_a_level_with_no_rows(prior):
    x = table(40, 4, levels=2)
    fit = learn(ClassConditional, x, COLUMNS, on="y", part="gaussian", prior=prior)
    assert np.isfinite(fit.history).all()
    share = posterior(fit.model, make_rows(x), 1, 3)
    assert np.isfinite(share).all()
    assert share[:, 2].max() <= (1e-12 if prior == 0 else 0.2)
    seen = draws(fit.model, 200)
    assert np.isfinite(seen).all()
    if prior == 0:
        assert not (seen[:, 1] == 2).any()


@pytest.mark.slow
def test_a_mixture_for_each_level():
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 300)
    side = rng.choice([-1, 1], 300)
    x = np.stack([np.where(y, 4 * side, 0) + rng.normal(size=300), y], axis=1)
    columns = (COLUMNS[0], Column("y", "binary", levels=2, family="bernoulli"))
    fit = learn(ClassConditional, x, columns, on="y", part="mixture", components=2, prior=0.0)
    one = learn(ClassConditional, x, columns, on="y", part="independent", prior=0.0)
    assert isinstance(fit.model.parts, Mixture)
    assert fit.log_likelihood > one.log_likelihood + 0.2
    # y = 1 lies on both sides of y = 0, which one density per level cannot represent.
    share = posterior(fit.model, make_rows(np.array([[-4.0, 0], [0, 0], [4, 0]])), 1, 2)
    assert share.argmax(1).tolist() == [1, 0, 1]


@pytest.mark.slow
def test_conditionals_are_closed_and_equal_the_product_rule():
    p = ClassConditional.example(jax.random.key(1)).model
    x = jnp.array([0.7, 1.0, -1.0, 0.2])
    cases = {
        "class hidden and kept": ([1, 0, 0, 0], [0, 1, 1, 1], ClassConditional),
        "class given": ([0, 1, 0, 1], [1, 0, 1, 0], Gaussian),
        "class summed out": ([0, 0, 1, 0], [1, 0, 0, 1], Mixture),
        "class alone": ([1, 0, 0, 0], [0, 1, 0, 0], Conditional),
    }
    for told, (observed, keep, cls) in cases.items():
        observed, keep = np.array(observed, bool), np.array(keep, bool)
        own = condition(p, np.asarray(x), observed, keep)
        assert type(own) is cls, told
        given = jnp.where(observed, x, 0)
        plain = Conditional(p, given, jnp.asarray(observed), tuple(np.flatnonzero(keep).tolist()))
        row = np.asarray(x)[keep]
        first = np.where(np.arange(len(row)) == 0, row, np.nan)
        both = np.stack([row, first])
        np.testing.assert_allclose(scores(own, both), scores(plain, both), atol=1e-10, err_msg=told)


def test_trees_for_each_level_share_a_skeleton():
    """If each level had its own tree, their arrays could not be stacked."""
    rng = np.random.default_rng(3)
    y, a, c = rng.integers(0, 2, (3, 400))
    b = np.where(y == 1, a, c) ^ (rng.random(400) < 0.05)
    names = ("y", "a", "b", "c")
    columns = tuple(Column(name, "binary", levels=2, family="bernoulli") for name in names)
    x = np.stack([y, a, b, c], 1).astype(float)
    fit = learn(ClassConditional, x, columns, on="y", part="chow_liu_tree", prior=0.0)
    one = learn(ClassConditional, x, columns, on="y", part="independent", prior=0.0)
    assert fit.log_likelihood > one.log_likelihood + 0.2
    states = np.array(list(np.ndindex(2, 2, 2, 2)), float)
    assert np.exp(scores(fit.model, states)).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": True, "on": "y"}, "on: expected columns beside 'y'"),
        ({}, "on: expected the discrete column"),
        ({"on": "yy"}, "did you mean 'y'"),
        ({"on": "a"}, "'a' is not"),
        ({"on": "y", "part": "gausian"}, "did you mean 'gaussian'"),
    ],
)
def test_mistakes_are_told_in_one_line(options, message):
    x, columns = (table()[:, [1]], (Y,)) if options.pop("only", None) else (table(), COLUMNS)
    with pytest.raises(PofxError, match=message):
        learn(ClassConditional, x, columns, **options)


@pytest.mark.slow
def test_a_part_has_a_part_of_its_own():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 120)
    x = rng.normal(size=(120, 4)) @ rng.normal(size=(4, 4)) + 3 * y[:, None]
    table = {"y": y, **{f"x{i}": x[:, i] for i in range(4)}}
    p = pofx.fit(
        table,
        "class_conditional",
        on="y",
        part="mixture.factor_analysis",
        components=2,
        latent=1,
        restarts=1,
    )
    assert type(p.model.parts.parts).__name__ == "FactorAnalysis"
    assert np.isfinite(p.log_prob(table).value).all()
    with pytest.raises(pofx.PofxError, match="no model 'gausian'"):
        pofx.fit(table, "class_conditional", on="y", part="mixture.gausian")
