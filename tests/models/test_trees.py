"""Tree models, compared with the enumeration of their joint distribution, and their learning."""

import warnings
from dataclasses import replace
from functools import cache
from itertools import combinations, product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pofx
from pofx.core.column import Column
from pofx.core.errors import PofxError, PofxWarning
from pofx.core.rows import make_rows
from pofx.learn.em import em_step, fit_em
from pofx.learn.stepwise_em import StepwiseConfig, fit_stepwise_em
from pofx.models.chow_liu_tree import ChowLiuTree
from pofx.models.latent_tree import LatentTree
from pofx.models.trees import structure

from .conftest import draws, learn, real, scores

pytestmark = pytest.mark.slow  # each compiles for minutes; tests/laws is quick

LEVELS = (2, 3, 2, 4)
COLUMNS = tuple(
    Column(f"x{j}", "categorical", levels=k, family="categorical") for j, k in enumerate(LEVELS)
)
CELLS = np.array(list(product(*map(range, LEVELS))), float)
TREES = {"chow-liu": ChowLiuTree, "latent": LatentTree}


def table(n=400, seed=0, missing=0.0):
    """Rows of dependent levels."""
    rng = np.random.default_rng(seed)
    a = rng.random(n) < 0.4
    b = np.where(rng.random(n) < 0.6, 2 * a, rng.integers(0, 3, n))
    c = np.where(rng.random(n) < 0.7, b > 0, rng.random(n) < 0.5)
    d = np.where(rng.random(n) < 0.5, b + a, rng.integers(0, 4, n))
    x = np.column_stack([a, b, c, d]).astype(float)
    return np.where(rng.random(x.shape) < missing, np.nan, x)


@cache
def enumerated(kind):
    """A fitted model, and the probabilities of all joint levels."""
    options = {"states": 3, "steps": 40} if kind == "latent" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # forty steps are enough here
        model = learn(TREES[kind], table(), COLUMNS, **options).model
    return model, np.exp(scores(model, CELLS))


@pytest.mark.parametrize("kind", TREES)
@settings(max_examples=40)
@given(row=st.tuples(*(st.sampled_from([None, *range(k)]) for k in LEVELS)))
def test_any_marginal_is_that_of_the_enumeration(kind, row):
    model, p = enumerated(kind)
    assert p.sum() == pytest.approx(1, abs=1e-5)
    x = np.array([np.nan if v is None else v for v in row], float)
    agree = (np.isnan(x) | (x == CELLS)).all(1)
    np.testing.assert_allclose(scores(model, x[None]), np.log(p[agree].sum()), atol=2e-5)


@pytest.mark.parametrize("kind", TREES)
def test_conditional_draws_are_those_of_the_enumeration(kind):
    model, p = enumerated(kind)
    x = jnp.array([0.0, 2.0, 0.0, 0.0])
    seen = jnp.array([False, True, False, False])
    draw = eqx.filter_jit(lambda keys: jax.vmap(lambda k: model.sample(k, x, seen))(keys))
    rows = np.asarray(draw(jax.random.split(jax.random.key(1), 4000)))
    assert (rows[:, 1] == 2).all()
    share = np.where(CELLS[:, 1] == 2, p, 0) / p[CELLS[:, 1] == 2].sum()
    often = np.array([(rows == cell).all(1).mean() for cell in CELLS])
    error = np.sqrt(share * (1 - share) / len(rows)) + 1e-9
    assert (abs(often - share) / error)[share > 1e-3].max() < 4


def test_an_unknown_level_is_impossible():
    model, _ = enumerated("chow-liu")
    # Column 0 has two levels, but its node has four states.
    odd = np.array([[2, 0, 0, 0], [2, 0, np.nan, 0], [0.5, 0, 0, 0], [-1, 0, 0, 0], [0, 0, 2, 0]])
    np.testing.assert_array_equal(scores(model, odd), -np.inf)
    np.testing.assert_array_equal(scores(model, [[2, np.nan, np.nan, np.nan]]), -np.inf)


def test_a_level_never_seen_is_possible_by_the_prior_alone():
    x = table()
    x = x[x[:, 3] != 1]
    never = np.array([[0, 0, 0, 1.0], [np.nan, np.nan, np.nan, 1.0]])
    assert (scores(learn(ChowLiuTree, x, COLUMNS, prior=0.0).model, never) == -np.inf).all()
    assert np.isfinite(scores(learn(ChowLiuTree, x, COLUMNS, prior=1.0).model, never)).all()


@pytest.mark.parametrize("kind", TREES)
def test_impossible_pairs_of_many_states_are_refused(kind):
    x = np.arange(60.0)[:, None] % np.array([10, 12])
    columns = tuple(
        Column(f"c{k}", "categorical", levels=k, family="categorical") for k in (10, 12)
    )
    more = {"states": 9} if kind == "latent" else {}
    with pytest.raises(PofxError, match="prior: expected at least 1e-09 pseudo-rows with"):
        TREES[kind].from_data(jax.random.key(0), make_rows(x), columns, prior=0.0, **more)
    TREES[kind].from_data(jax.random.key(0), make_rows(x), columns, prior=1e-6, **more)


# -- the most likely tree


def spanning_trees(d):
    """The parents in each of the d^(d-2) spanning trees, rooted at node 0."""
    trees = []
    for edges in combinations(list(combinations(range(d), 2)), d - 1):
        parents, todo = {0: -1}, [0]
        while todo:
            at = todo.pop()
            for a, b in edges:
                other = b if a == at else a if b == at else at
                if other not in parents:
                    parents[other] = at
                    todo.append(other)
        if len(parents) == d:
            trees.append(tuple(parents[j] for j in range(d)))
    return trees


def entropy(x, weight):
    """The entropy of the frequencies of weighted rows."""
    _, code = np.unique(x, axis=0, return_inverse=True)
    p = np.bincount(code.reshape(-1), weight) / weight.sum()
    return -(p[p > 0] * np.log(p[p > 0])).sum()


@pytest.mark.usefixtures("float64")
def test_no_other_tree_is_more_likely():
    trees = spanning_trees(4)
    assert len(set(trees)) == 16
    for seed in range(3):
        x, weight = table(60, seed), np.random.default_rng(seed).integers(1, 4, 60).astype(float)
        fit = learn(ChowLiuTree, x, COLUMNS, prior=0.0, weight=weight)

        def best(parents, x=x, weight=weight):
            """The greatest mean log-likelihood of a tree, from the entropies of its cliques."""
            return -sum(
                entropy(x[:, [j] if p < 0 else [j, p]], weight)
                - (entropy(x[:, [p]], weight) if p >= 0 else 0)
                for j, p in enumerate(parents)
            )

        likelihoods = [best(parents) for parents in trees]
        assert fit.log_likelihood == pytest.approx(max(likelihoods), abs=1e-6)
        assert max(likelihoods) - sorted(likelihoods)[-2] > 1e-4
        assert len(fit.history) <= 4


@pytest.mark.usefixtures("float64")
def test_missing_cells_are_learned_from_as_direct_maximisation_would():
    x = table(80, 3, missing=0.3)
    fit = learn(ChowLiuTree, x, COLUMNS, prior=0.0, tolerance=1e-13, steps=20_000)
    assert (np.diff(fit.history) > -1e-10).all()
    tree, data = fit.model.tree, make_rows(x)
    logits = tree.log_transition

    def likelihood(logits):
        moved = jax.nn.log_softmax(jnp.maximum(logits, -1e30), -1)
        model = eqx.tree_at(lambda p: p.tree.log_transition, fit.model, moved)
        return data.sum(lambda x, o, w: model.expected_statistics(x, o, w)[1]) / data.total

    # No feasible direction increases the likelihood.
    value, slope = jax.jit(jax.value_and_grad(likelihood))(logits)
    assert float(value) == pytest.approx(fit.log_likelihood, abs=1e-9)
    inside = np.exp(logits) > 1e-4
    assert abs(np.where(inside, slope, 0)).max() < 1e-5
    complete = learn(ChowLiuTree, x[~np.isnan(x).any(1)], COLUMNS, prior=0.0).model
    if complete.parents == fit.model.parents:
        assert fit.log_likelihood > scores(complete, x).mean() + 1e-3


@pytest.mark.usefixtures("float64")
def test_two_columns_one_of_them_half_missing_have_a_closed_form():
    """p(a) from all rows, p(b | a) from those that have both (factored likelihood; Rubin 1974)."""
    x = table(200, 4)[:, :2]
    x[::2, 1] = np.nan
    p = learn(ChowLiuTree, x, COLUMNS[:2], prior=0.0, tolerance=1e-14, steps=5000).model
    both = x[1::2]
    for a in range(2):
        share = (x[:, 0] == a).mean()
        np.testing.assert_allclose(np.exp(scores(p, [[a, np.nan]])), share, atol=1e-5)
        for b in range(3):
            expected = share * (both[both[:, 0] == a][:, 1] == b).mean()
            np.testing.assert_allclose(np.exp(scores(p, [[a, b]])), expected, atol=1e-5)


# -- questions by column name


@pytest.fixture(scope="module")
def named():
    """A Joint of three columns, its data, all joint levels, and their probabilities."""
    x = table(300, 5)[:, :3].astype(int)
    frame = pd.DataFrame({"a": x[:, 0], "b": np.array(list("xyz"))[x[:, 1]], "c": x[:, 2]})
    p = pofx.fit(frame, "chow_liu_tree")
    cells = [(a, b, c) for a in range(2) for b in "xyz" for c in range(2)]
    cells = pd.DataFrame(cells, columns=list("abc"))
    share = np.exp(np.asarray(p.log_prob(cells)))
    assert share.sum() == pytest.approx(1, abs=1e-5)
    return p, frame, cells, share


def by_hand(cells, share, names):
    """H(names) from the enumeration."""
    p = pd.Series(share).groupby([cells[n] for n in names]).sum()
    return float(-(p * np.log(p)).sum())


def test_entropies_and_informations_are_exact(named):
    p, _, cells, share = named
    for names in (["a"], ["a", "b"], ["a", "b", "c"]):
        answer = p.entropy(*names)
        assert answer.kind == "exact"
        assert float(answer) == pytest.approx(by_hand(cells, share, names), abs=1e-5)
    h = {names: by_hand(cells, share, list(names)) for names in ("ab", "bc", "b", "abc", "a", "c")}
    answer = p.mutual_information("a", "c", given="b")
    assert answer.kind == "exact"
    assert float(answer) == pytest.approx(h["ab"] + h["bc"] - h["b"] - h["abc"], abs=1e-5)
    answer = p.mutual_information("a", ["b", "c"])
    assert float(answer) == pytest.approx(h["a"] + h["bc"] - h["abc"], abs=1e-5)


def test_given_marginals_and_posteriors_agree_with_the_enumeration(named):
    p, _, cells, share = named
    q = p.given(b="y")
    conditional = np.where(cells.b == "y", share, 0) / share[cells.b == "y"].sum()
    matching = cells[cells.b == "y"]
    probability = np.exp(np.asarray(q.log_prob(matching.drop(columns="b"))))
    np.testing.assert_allclose(probability, conditional[cells.b == "y"], atol=1e-5)
    alone = p.marginal("c", "a")
    expected = pd.Series(share).groupby([cells.a, cells.c]).sum()
    levels = expected.index.to_frame(index=False)
    np.testing.assert_allclose(np.exp(np.asarray(alone.log_prob(levels))), expected, atol=1e-5)
    posterior = np.asarray(p.predict_proba(pd.DataFrame({"a": [0, 1], "c": [1, 1]}), "b"))
    for row, a in zip(posterior, (0, 1)):
        joint = share[(cells.a == a) & (cells.c == 1)]
        np.testing.assert_allclose(row, joint / joint.sum(), atol=1e-5)


def test_missing_levels_become_the_most_probable(named):
    p, _, cells, share = named
    holed = pd.DataFrame({"a": [0, 1, 0], "b": [None, None, "z"], "c": [1, 0, None]})
    filled = p.impute(holed)
    for i, (a, c) in enumerate(((0, 1), (1, 0))):
        joint = np.where((cells.a == a) & (cells.c == c), share, 0)
        assert filled.b[i] == cells.b[joint.argmax()]
    joint = np.where((cells.a == 0) & (cells.b == "z"), share, 0)
    c = [joint[cells.c == v].sum() for v in (0, 1)]
    assert filled.c[2] == int(np.argmax(c))


# -- numbers


@pytest.mark.parametrize("kind", TREES)
@pytest.mark.usefixtures("float64")
def test_densities_of_numbers_integrate_to_one(kind):
    rng = np.random.default_rng(6)
    side = rng.choice([-2, 2], 200)
    x = np.column_stack([side + rng.normal(size=200), side > 0, rng.poisson(3 + side)])
    columns = (
        *real(1),
        Column("b", "binary", levels=2, family="bernoulli"),
        Column("n", "count", family="poisson"),
    )
    p = learn(TREES[kind], x, columns, states=3, steps=400, tolerance=1e-4).model
    at = np.linspace(-12, 12, 1601)
    grid = np.array([(v, b, n) for v in at[::8] for b in (0, 1) for n in range(40)])
    total = np.exp(scores(p, grid)).sum() * (at[8] - at[0])
    assert total == pytest.approx(1, abs=1e-6)
    alone = np.column_stack([at, np.full((len(at), 2), np.nan)])
    density = np.exp(scores(p, alone))
    assert density.sum() * (at[1] - at[0]) == pytest.approx(1, abs=1e-6)
    # Two modes, which no single family has.
    assert density[at.searchsorted(0)] < 0.5 * min(density[at < -1].max(), density[at > 1].max())


def test_a_latent_tree_is_the_sum_over_all_hidden_states():
    rng = np.random.default_rng(7)
    x = np.column_stack([table(100, 7)[:, :2], rng.normal(size=(100, 1)), table(100, 7)[:, 3]])
    columns = (*COLUMNS[:2], *real(1), COLUMNS[3])
    with pytest.warns(PofxWarning, match="not converged"):
        p = learn(LatentTree, x, columns, states=3, steps=5).model
    log_t, parents = np.asarray(p.tree.log_transition, float), p.parents
    holed = x[:6].copy()
    holed[1:, 0], holed[2, 2], holed[4] = np.nan, np.nan, np.nan
    for row in holed:
        seen = jnp.asarray(~np.isnan(row))
        log_e = np.asarray(p.evidence(jnp.asarray(np.nan_to_num(row)), seen), float)
        total = []
        for states in product(range(3), repeat=4):
            ways = [log_t[j, states[k] if k >= 0 else 0, states[j]] for j, k in enumerate(parents)]
            total.append(sum(ways) + sum(log_e[j, s] for j, s in enumerate(states)))
        np.testing.assert_allclose(scores(p, row[None]), np.logaddexp.reduce(total), atol=1e-4)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", TREES)
def test_no_step_lowers_the_likelihood(kind):
    rng = np.random.default_rng(8)
    x = np.column_stack([table(150, 8), rng.gamma(2.0, size=(150, 1)) * (1 + table(150, 8)[:, :1])])
    x = np.where(rng.random(x.shape) < 0.2, np.nan, x)
    columns = (*COLUMNS, Column("y", "positive", family="log_normal"))
    model = TREES[kind].from_data(jax.random.key(0), make_rows(x), columns, states=4, prior=0.0)
    seen = []
    for _ in range(25):
        model, value = em_step(model, make_rows(x))
        seen.append(float(value))
    assert (np.diff(seen) > -1e-10).all()
    assert seen[-1] > seen[0] + 0.05


def test_steps_by_batches_come_close_to_all_rows_at_once():
    x = table(3072, 9)
    x = np.column_stack([x, x[:, 1] + 0.5 * np.random.default_rng(9).normal(size=len(x))])
    columns = (*COLUMNS, *real(1))
    train, fresh = make_rows(x[:2560]), x[2560:]
    start = LatentTree.from_data(jax.random.key(0), train, columns, states=4)
    full = fit_em(start, train, tolerance=1e-4)
    stepwise = fit_stepwise_em(
        jax.random.key(1),
        start,
        train,
        valid=make_rows(fresh),
        config=StepwiseConfig(epochs=15),
    )
    one, other = (scores(f.model, fresh).mean() for f in (stepwise, full))
    assert one > other - 0.02
    assert other > scores(start, fresh).mean() + 0.1
    assert stepwise.converged
    assert len(stepwise.history) <= 15


# -- degenerate tables


def mixed(n=60, seed=10):
    rng = np.random.default_rng(seed)
    x = np.column_stack([table(n, seed)[:, :2], rng.normal(size=(n, 2))])
    return x, (*COLUMNS[:2], *real(2))


def halves(x):
    """Column 2 is missing in the first half of the rows, column 0 in the second half."""
    x = x.copy()
    x[: len(x) // 2, 2] = np.nan
    x[len(x) // 2 :, 0] = np.nan
    return x


ODD = {
    "ten rows": lambda x: x[:10],
    "two rows": lambda x: x[:2],
    "one row": lambda x: x[:1],
    "equal rows": lambda x: np.tile(x[:1], (30, 1)),
    "a constant column": lambda x: np.column_stack([x[:, :3], np.full(len(x), 5.0)]),
    "never together": halves,
    "empty rows": lambda x: np.where(np.arange(len(x))[:, None] % 3 == 0, np.nan, x),
    "an empty column": lambda x: np.column_stack([x[:, :3], np.full(len(x), np.nan)]),
    "nothing at all": lambda x: np.full((4, 4), np.nan),
}


QUICK = ("never together", "an empty column")


@pytest.mark.parametrize("kind", TREES)
@pytest.mark.parametrize(
    "odd", [o if o in QUICK else pytest.param(o, marks=pytest.mark.slow) for o in ODD]
)
def test_odd_tables_are_learned(kind, odd):
    x, columns = mixed()
    x = ODD[odd](x)
    columns = (*columns[:2], *(replace(c, resolution=0.01) for c in columns[2:]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # four steps need not converge
        fit = learn(TREES[kind], x, columns, states=12, steps=4)
    assert np.isfinite(fit.history).all()
    assert np.isfinite(scores(fit.model, x)).all()
    assert np.isfinite(draws(fit.model, 20)).all()
    if kind == "latent":
        assert fit.model.tree.states == min(12, len(x))


@pytest.mark.parametrize("kind", TREES)
def test_one_column(kind):
    x = np.concatenate([np.full(10, -4.0), np.full(20, 4.0)]) + np.arange(30) / 30
    p = learn(TREES[kind], x[:, None], real(1, 0.01), states=2, prior=0.0, tolerance=1e-4).model
    assert p.parents == (-1,)
    low, middle, high = scores(p, [[-3.8], [0.5], [4.6]])
    assert min(low, high) > middle + 5
    how = {"states": 2, "prior": 0.0, "tolerance": 1e-4}
    c = learn(TREES[kind], table()[:, [1]], COLUMNS[1:2], **how).model
    share = np.bincount(table()[:, 1].astype(int)) / 400
    np.testing.assert_allclose(np.exp(scores(c, [[0], [1], [2]])), share, atol=1e-3)


@pytest.mark.parametrize("kind", TREES)
def test_a_column_of_five_thousand_levels(kind):
    rng = np.random.default_rng(11)
    code = np.where(rng.random(300) < 0.8, rng.integers(0, 4, 300), rng.integers(0, 5000, 300))
    x = np.column_stack([code, np.minimum(code, 3), rng.integers(0, 2, 300)])
    columns = tuple(
        Column(name, "categorical", levels=k, family="categorical")
        for name, k in (("id", 5000), ("b", 4), ("c", 2))
    )
    data = make_rows(x.astype(float))
    model = TREES[kind].from_data(jax.random.key(0), data, columns, states=5)
    for _ in range(3):
        model, value = em_step(model, data)
    assert np.isfinite(float(value))
    assert model.tree.log_transition.shape == (3, 5, 5)
    single = np.column_stack([np.arange(5000), np.full((5000, 2), np.nan)])
    assert np.exp(scores(model, single)).sum() == pytest.approx(1, abs=1e-4)
    assert frozenset((0, 1)) in {frozenset((j, p)) for j, p in enumerate(model.parents)}


@pytest.mark.slow
def test_three_hundred_columns():
    rng = np.random.default_rng(12)
    hidden = rng.normal(size=(120, 5)) @ rng.normal(size=(5, 300))
    x = rng.poisson(np.exp(0.3 * hidden)).astype(float)
    columns = tuple(Column(f"n{j}", "count", family="poisson") for j in range(300))
    assert all(structure.needs_binning(c) for c in columns)
    for cls in TREES.values():
        data = make_rows(x)
        model = cls.from_data(jax.random.key(0), data, columns, states=3)
        seen = []
        for _ in range(3):
            model, value = em_step(model, data)
            seen.append(float(value))
        assert np.isfinite(seen).all()
        assert seen[-1] > seen[0]
        assert np.isfinite(draws(model, 3)).all()
