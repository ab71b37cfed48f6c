"""Divergences of fits whose columns differ in order, units or order of levels."""

from itertools import product

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import norm

import pofx
from pofx.core.errors import PofxError
from pofx.table.schema import Schema

RNG = np.random.default_rng(0)
ROWS = 300
Z = RNG.normal(size=(ROWS, 2))
LEFT = {"u": 1e6 + 3 * Z[:, 0], "v": 0.01 * (Z[:, 0] + Z[:, 1])}
RIGHT = {"v": 0.02 * Z[:, 1] - 0.01, "u": 1e6 + 2 * Z[:, 0] + 1}
LEVELS = {"k": RNG.choice(["a", "b", "c"], ROWS, p=[0.5, 0.3, 0.2]), "y": RNG.integers(0, 2, ROWS)}
OTHER = {"y": RNG.integers(0, 2, ROWS), "k": RNG.choice(["a", "b", "c"], ROWS, p=[0.2, 0.2, 0.6])}


def fit(data, model="gaussian", **options):
    return pofx.fit(data, model, **options)


@pytest.fixture(scope="module")
def pair():
    return fit(LEFT), fit(RIGHT)


def gaussian_kl(one, other, names):
    """By its formula in float64, from the moments of the data."""
    a, b = (np.column_stack([data[name] for name in names]) for data in (one, other))
    s, t = (np.atleast_2d(np.cov(x.T, bias=True)) for x in (a, b))
    shift = b.mean(0) - a.mean(0)
    trace = np.trace(np.linalg.solve(t, s)) + shift @ np.linalg.solve(t, shift)
    dets = np.linalg.slogdet(t)[1] - np.linalg.slogdet(s)[1]
    return (trace - len(names) + dets) / 2


@pytest.mark.parametrize("names", [("u", "v"), ("u",), ("v",)])
def test_gaussians_in_other_units_are_exact(pair, names):
    p, q = pair
    assert p.schema.variable("u").shift != q.schema.variable("u").shift
    for (one, a), (other, b) in (((p, LEFT), (q, RIGHT)), ((q, RIGHT), (p, LEFT))):
        answer = pofx.kl(one, other, *names)
        assert answer.kind == "exact"
        assert float(answer) == pytest.approx(gaussian_kl(a, b, names), rel=2e-4)


def test_cross_entropy_is_in_the_datas_units(pair):
    p, q = pair
    answer = pofx.cross_entropy(p, q, "u")
    entropy = 0.5 * np.log(2 * np.pi * np.e * LEFT["u"].var())
    assert answer.kind == "exact"
    assert float(answer) == pytest.approx(entropy + gaussian_kl(LEFT, RIGHT, ["u"]), rel=1e-4)


def test_jensen_shannon_is_that_of_quadrature(pair):
    p, q = pair
    x = np.linspace(-20, 20, 20001)
    one = norm.pdf(x, LEFT["u"].mean() - 1e6, LEFT["u"].std())
    other = norm.pdf(x, RIGHT["u"].mean() - 1e6, RIGHT["u"].std())
    middle = (one + other) / 2
    value = trapezoid((norm_kl(one, middle) + norm_kl(other, middle)) / 2, x)
    for a, b in ((p, q), (q, p)):
        answer = pofx.jensen_shannon(a, b, "u")
        assert answer.kind == "estimate"
        assert abs(float(answer) - value) < 5 * answer.stderr + 1e-5


def norm_kl(p, q):
    return np.where(p > 1e-300, p * np.log(np.maximum(p, 1e-300) / np.maximum(q, 1e-300)), 0)


def test_levels_in_another_order_are_enumerated():
    p, q = fit(LEVELS, "independent"), fit(OTHER, "independent")
    turned = {"k": ["c", "a", "b"], "y": [1, 0]}
    variables = [
        {**v, "levels": turned[v["name"]]} if v["name"] in turned else v
        for v in q.schema.to_json()["variables"]
    ]
    schema = Schema.from_json({"container": "mapping", "variables": variables[::-1]})
    other = fit(OTHER, "independent", schema=schema)
    assert other.schema.variable("k").levels != p.schema.variable("k").levels
    for divergence in (pofx.kl, pofx.jensen_shannon, pofx.cross_entropy):
        for names in ((), ("k",)):
            answer, same = divergence(p, other, *names), divergence(p, q, *names)
            assert answer.kind == "exact"
            assert float(answer) == pytest.approx(float(same), abs=1e-6)
            back = divergence(other, p, *names)
            assert float(back) == pytest.approx(float(divergence(q, p, *names)), abs=1e-6)


def test_point_masses_are_mapped_onto_each_other():
    zero = RNG.random(ROWS) < 0.4
    one = {"x": np.where(zero, 0.0, RNG.normal(3, 1, ROWS)), "y": LEVELS["k"]}
    other = {"y": OTHER["k"], "x": np.where(RNG.random(ROWS) < 0.2, 0.0, RNG.normal(4, 2, ROWS))}
    p, q = fit(one, "independent"), fit(other, "independent")
    assert p.schema.variable("x").spikes == q.schema.variable("x").spikes == (0.0,)
    same = fit(other, "independent", schema=p.schema)
    exact, answer = pofx.kl(p, same), pofx.kl(p, q)
    assert (exact.kind, answer.kind) == ("exact", "estimate")
    assert abs(float(answer) - float(exact)) < 5 * answer.stderr + 1e-4
    back = pofx.kl(q, p)
    assert abs(float(back) - float(pofx.kl(same, p))) < 5 * back.stderr + 1e-4


def test_questions_take_them_too(pair):
    p, q = pair
    assert float(p.ask("KL(p || q)", q=q)) == pytest.approx(float(pofx.kl(p, q)))
    assert p.ask("KL(p(u) || q(u))", q=q).kind == "exact"


def test_a_column_that_only_one_has_may_be_left_out(pair):
    p, _ = pair
    q = fit({**RIGHT, "w": Z[:, 0] ** 3})
    assert float(pofx.kl(p, q, "u")) == pytest.approx(gaussian_kl(LEFT, RIGHT, ["u"]), rel=2e-4)
    with pytest.raises(
        PofxError, match=r"^kl: expected .* same variables .* only the second has 'w'$"
    ):
        pofx.kl(p, q)
    with pytest.raises(PofxError, match="no column 'w'"):
        pofx.kl(p, q, "w")


def test_what_differs_is_said():
    p = fit(LEVELS, "independent")
    more = fit({**LEVELS, "k": np.where(LEVELS["k"] == "a", "d", "b")}, "independent")
    with pytest.raises(PofxError, match=r"only the first has the level|'k' is one of 3 levels"):
        pofx.compare(p, more, LEVELS)
    number = fit({**LEVELS, "k": Z[:, 0]}, "independent")
    with pytest.raises(PofxError, match="'k' is one of 3 levels in the first and a number in the"):
        pofx.jensen_shannon(p, number)
    day = np.array(["2020-01-01"], "datetime64[s]") + (1e6 * Z[:, 0]).astype("timedelta64[s]")
    with pytest.raises(PofxError, match="'u' is a number in the first and a number in days since"):
        pofx.compare(fit({"u": Z[:, 0]}), fit({"u": day}), {"u": Z[:, 0]})
    with pytest.raises(PofxError, match="only the second has 'v'"):
        pofx.compare(fit({"u": Z[:, 0]}), fit(LEFT), LEFT)


def shares(p, names=("k",)):
    """p(names) as a mapping from levels to probabilities."""
    levels = [p.schema.variable(name).levels for name in names]
    table = p.ask(f"p({', '.join(names)})").probabilities
    return dict(zip(product(*levels), table.ravel()))


def divergence(one, other):
    return sum(v * np.log(v / other.get(k, 0.0)) for k, v in one.items() if v > 0)


@pytest.fixture(scope="module", params=["independent", "chow_liu_tree"])
def few_and_many(request):
    """Fits to two and to three levels in different orders, beside a yes and a no."""
    many = {"k": np.where(LEVELS["k"] == "c", "aa", LEVELS["k"]), "y": LEVELS["y"]}
    few = {"k": np.where(OTHER["k"] == "a", "a", "b"), "y": OTHER["y"]}
    return fit(few, request.param), fit(many, request.param)


@pytest.mark.parametrize("names", [("k",), ("k", "y")])
def test_a_level_that_only_the_second_has(few_and_many, names):
    p, q = few_and_many
    assert (p.schema.variable("k").kind, q.schema.variable("k").kind) == ("binary", "categorical")
    one, other = shares(p, names), shares(q, names)
    estimate = pofx.kl(p, q, *names)
    assert estimate.kind == "exact"
    assert float(estimate) == pytest.approx(divergence(one, other), abs=1e-6)
    entropy = -sum(v * np.log(v) for v in one.values())
    assert float(pofx.cross_entropy(p, q, *names)) == pytest.approx(
        float(estimate) + entropy, abs=1e-6
    )


def test_a_level_that_only_the_first_has(few_and_many):
    p, q = few_and_many
    for divergent in (pofx.kl(q, p), pofx.cross_entropy(q, p, "k"), q.ask("KL(p || q)", q=p)):
        assert (float(divergent), divergent.kind) == (np.inf, "exact")
        assert str(divergent).endswith("the second has no level 'aa' of 'k'")
    assert np.isfinite(float(pofx.kl(q, p, "y")))
    assert np.isfinite(float(pofx.kl(q.marginal("y"), p.marginal("y"))))


def test_of_the_middle_all_levels_are_possible(few_and_many):
    p, q = few_and_many
    one, other = shares(p), shares(q)
    middle = {k: (one.get(k, 0.0) + other.get(k, 0.0)) / 2 for k in other}
    expected = (divergence(one, middle) + divergence(other, middle)) / 2
    for pair in ((p, q), (q, p)):
        assert float(pofx.jensen_shannon(*pair, "k")) == pytest.approx(expected, abs=1e-6)


def test_levels_that_have_none_in_common():
    p, q = (fit({"k": np.array(list(text) * 9)}, "independent") for text in ("ab", "cd"))
    assert float(pofx.kl(p, q)) == np.inf
    assert float(pofx.jensen_shannon(p, q)) == pytest.approx(np.log(2))


def test_beside_numbers_a_lacking_level_is_drawn_around():
    u = Z[:, 0]
    p = fit({"k": np.where(u > 0, "a", "b"), "u": u}, "class_conditional", on="k")
    level = np.where(OTHER["k"] == "c", "a", OTHER["k"])
    level[:30] = "c"
    q = fit({"k": level, "u": u}, "class_conditional", on="k")
    estimate = pofx.kl(p, q, stderr=0.02)
    assert estimate.kind == "estimate"
    same = pofx.fit(
        {"k": np.where(u > 0, "a", "b"), "u": u}, "class_conditional", on="k", schema=q.schema
    )
    assert abs(float(estimate) - float(pofx.kl(same, q))) < 5 * estimate.stderr + 0.1
    assert float(pofx.kl(q, p)) == np.inf
