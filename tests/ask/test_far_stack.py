"""A stack given evidence far from the data: only columns on which its parts differ weigh them."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pofx
from pofx.models.independent import Independent
from pofx.models.stack import Stack
from pofx.named.rows import entry_index
from pofx.table.encoding import encode
from tests.laws.explicit import explicit

pytestmark = pytest.mark.filterwarnings(
    "ignore:this model holds:pofx.PofxWarning", "ignore:EM had not converged:pofx.PofxWarning"
)
FAR = (1e4, 1e6, 1e8, 1e12)
ROWS = 200


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(0)
    c = rng.choice(["x", "y", "z"], ROWS, p=[0.6, 0.3, 0.1])
    a = rng.normal(size=ROWS)
    frame = {"a": a, "b": a / 2 + rng.normal(size=ROWS) + 2 * (c == "x"), "c": c}
    return {
        "independent": pofx.fit(frame, "independent"),
        "chow_liu_tree": pofx.fit(frame, "chow_liu_tree", states=2),
        "class_conditional": pofx.fit(frame, "class_conditional", on="c"),
        "correlated": pofx.fit(frame, "class_conditional", on="c", part="correlated"),
        "mixture": pofx.fit(frame, "mixture", components=2),
    }


def stacked(p, *models):
    return replace(p, model=Stack(jnp.zeros(len(models)), models))


def alike(model, family, place):
    """The model with this family in column `place` for each component or state."""

    def same(group, places):
        if place not in places:
            return group
        i = places.index(place)
        return jax.tree.map(lambda leaf, one: leaf.at[..., i].set(one[0]), group, family)

    def columns(part):
        groups = tuple(same(group, places) for group, places in zip(part.groups, part.places))
        return Independent(groups, part.anchors, part.places, part.prior)

    if isinstance(model, Independent):
        return columns(model)
    if hasattr(model, "emissions"):
        place = model.hidden.index(place)
        return replace(model, emissions=columns(model.emissions))
    return replace(model, parts=columns(model.parts))


@pytest.mark.parametrize("other", ["chow_liu_tree", "class_conditional"])
def test_parts_that_agree_on_a_column_are_not_told_apart_by_it(fits, other):
    p = fits["independent"]
    place = entry_index(p, "a")
    family, i = next((f, q.index(place)) for f, q in zip(p.model.groups, p.model.places))
    family = jax.tree.map(lambda leaf: leaf[i : i + 1], family)
    q = stacked(p, p.model, alike(fits[other].model, family, place))
    known = q.ask("p(c | b = 3)").probabilities
    inside = float(q.ask("P(b > 1 | c = x)"))
    mean = float(q.ask("E[b | c = x]"))
    for a in FAR:
        answer = q.ask(f"p(c | a = {a}, b = 3)")
        np.testing.assert_allclose(answer.probabilities, known, rtol=1e-9)
        assert answer.answer.kind == "exact"
        cells = {"a": [a], "b": [3.0]}
        posterior = np.array([v[0] for v in q.predict_proba(cells, "c").values()])
        np.testing.assert_allclose(posterior, known, rtol=1e-9)
        assert float(q.decide(cells, "c").expected_cost[0]) == pytest.approx(
            1 - known.max(), rel=1e-9
        )
        one = float(q.given(a=a, b=3.0).ask("p(c = x)"))
        assert one == pytest.approx(known[0], rel=1e-9)
        assert float(q.ask(f"P(b > 1 | a = {a}, c = x)")) == pytest.approx(inside, rel=1e-9)
        assert float(q.ask(f"E[b | a = {a}, c = x]")) == pytest.approx(mean, rel=1e-9)


@pytest.mark.parametrize("other", ["chow_liu_tree", "class_conditional", "correlated", "mixture"])
@pytest.mark.parametrize("a", [1e4, 1e6, 1e8])
def test_the_posterior_is_that_of_extended_precision_or_an_estimate(fits, other, a):
    p = fits["independent"]
    q = stacked(p, p.model, fits[other].model)
    x = encode(p.schema, {"a": [a] * 3, "b": [3.0] * 3, "c": ["x", "y", "z"]})
    joint = explicit(q.model).log_prob(x, np.ones(3, bool))
    expected = np.exp(joint - joint.max()) / np.exp(joint - joint.max()).sum()
    answer = q.ask(f"p(c | a = {a}, b = 3)")
    # Extended precision holds a log-density of 1e15 itself to no more than 1e-3.
    error = np.asarray(answer.answer.stderr) + (1e-9 if a < 1e5 else 1e-5 if a < 1e7 else 1e-2)
    np.testing.assert_array_less(np.abs(answer.probabilities - expected), 4 * error)


@pytest.mark.parametrize("a", [1e5, 1e6, 1e7])
def test_one_marginal_by_two_formulas_is_not_told_apart_by_their_rounding(a):
    rng = np.random.default_rng(0)
    x = rng.normal(size=ROWS)
    frame = {"a": x, "b": x / 2 + rng.normal(size=ROWS)}
    p, other = pofx.fit(frame, "independent"), pofx.fit(frame, "gaussian")
    q = stacked(p, p.model, other.model)
    row = encode(p.schema, {"a": [a], "b": [0.0]})
    joint = explicit(q.model).joint(row, np.array([True, False]))[0]
    expected = float(1 / (1 + np.exp(joint[0] - joint[1])))
    # Far below the conditional mean of the one, far above the mean of the other.
    answer = q.ask(f"P(b > {a / 4} | a = {a})")
    assert float(answer) == pytest.approx(expected, rel=1e-5)
    assert answer.kind == "exact"


@pytest.mark.parametrize("a", ["1e9", "1e12"])
@pytest.mark.parametrize("model", ["independent", "mixture", "chow_liu_tree"])
def test_a_range_given_so_far_out_that_its_probability_has_no_digits(fits, model, a):
    p = fits[model]
    answer = p.ask(f"P(b > 1 | a > {a})")
    # Farther out one component or state is as sure, and its tail as near to its end.
    expected = float(p.ask("P(b > 1 | a > 1e4)"))
    assert answer.kind == "estimate"
    assert float(answer.stderr) < 0.01
    assert float(answer) == pytest.approx(expected, abs=1e-6 + 5 * float(answer.stderr))
    outside = float(p.ask(f"P(b in [0, 1] | a > {a})") + p.ask(f"P(b < 0 | a > {a})"))
    assert float(answer) + outside == pytest.approx(1, abs=1e-6)
    level = p.ask(f"P(c = x | a > {a})")
    assert float(level.stderr) < 0.01
    assert float(level) == pytest.approx(float(p.ask("P(c = x | a > 1e4)")), abs=1e-6)
