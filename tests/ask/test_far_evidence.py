"""Evidence far from the data: answers are right to their digits, or called estimates."""

import itertools
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import pofx
from pofx import PofxError
from pofx.joint.joint import Joint
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent
from pofx.named.rows import entry_index

pytestmark = pytest.mark.filterwarnings(
    "ignore:this model holds:pofx.PofxWarning", "ignore:EM had not converged:pofx.PofxWarning"
)
FAR = (1e4, 1e6, 1e9, 1e12)
ROWS = 200


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    c = rng.choice(["x", "y", "z"], ROWS, p=[0.6, 0.3, 0.1])
    return {"a": rng.normal(size=ROWS), "b": rng.normal(size=ROWS), "c": c}


@pytest.fixture(scope="module")
def apart(frame):
    return pofx.fit(frame, "independent")


@pytest.fixture(scope="module")
def pair():
    """x and y normal, y = x + 0.7 noise."""
    with jax.enable_x64(True):
        p = pofx.fit({"x": [0.0, 1.0, 0.5], "y": [1.0, 0.0, 2.0]}, "gaussian")
        covariance = np.array([[1.0, 1.0], [1.0, 1.49]])
        shift = np.array([v.shift for v in p.schema.variables])
        scale = np.array([v.scale for v in p.schema.variables])
        model = Gaussian.from_moments(
            jnp.asarray(-shift / scale), jnp.asarray(covariance / np.outer(scale, scale))
        )
    return Joint(model, p.schema, p.fixed)


@pytest.mark.parametrize("a", FAR)
def test_a_column_far_out_says_nothing_of_an_independent_one(apart, a):
    known = apart.ask("p(c)").probabilities
    np.testing.assert_allclose(apart.ask(f"p(c | a = {a})").probabilities, known, rtol=1e-6)
    np.testing.assert_allclose(apart.ask(f"p(c | a > {a})").probabilities, known, rtol=1e-6)
    one = apart.ask(f"p(c = x | a = {a})")
    assert (float(one), one.kind) == (pytest.approx(known[0], rel=1e-6), "exact")
    posterior = apart.predict_proba({"a": [a], "b": [None]}, "c")
    np.testing.assert_allclose([v[0] for v in posterior.values()], known, rtol=1e-6)
    inside = float(apart.ask("P(b > 0.5)"))
    assert float(apart.ask(f"P(b > 0.5 | a = {a})")) == pytest.approx(inside, rel=1e-6)
    density = float(apart.ask("p(b = 0.5)"))
    assert float(apart.ask(f"p(b = 0.5 | a = {a})")) == pytest.approx(density, rel=1e-5)


@pytest.mark.parametrize("model", ["class_conditional", "chow_liu_tree", "mixture"])
def test_components_that_agree_on_a_column_are_not_told_apart_by_it(frame, model):
    """If `a` has the same distribution in all components, its value changes no posterior."""
    options = {
        "class_conditional": {"on": "c"},
        "chow_liu_tree": {"states": 2},
        "mixture": {"components": 2},
    }
    p = pofx.fit(frame, model, **options[model])
    place = entry_index(p, "a")

    def alike(part):
        def same(family, places):
            if place not in places:
                return family
            i = places.index(place)
            return jax.tree.map(lambda leaf: leaf.at[:, i].set(leaf[:1, i]), family)

        groups = tuple(same(f, q) for f, q in zip(part.groups, part.places))
        return Independent(groups, part.anchors, part.places, part.prior)

    if model == "chow_liu_tree":
        place = p.model.hidden.index(place)
        q = replace(p, model=replace(p.model, emissions=alike(p.model.emissions)))
    else:
        q = replace(p, model=replace(p.model, parts=alike(p.model.parts)))
    known = q.ask("p(c | b = 0.3)").probabilities
    for a in FAR:
        answer = q.ask(f"p(c | a = {a}, b = 0.3)").probabilities
        np.testing.assert_allclose(answer, known, rtol=2e-4)
        cells = {"a": [a], "b": [0.3]}
        posterior = np.array([v[0] for v in q.predict_proba(cells, "c").values()])
        np.testing.assert_allclose(posterior, known, rtol=2e-4)
        one = float(q.given(a=a, b=0.3).ask("p(c = x)"))
        assert one == pytest.approx(known[0], rel=2e-4)


def test_quantiles_near_one(apart):
    v = apart.schema.variable("a")
    mean, sd = float(apart.ask("E[a]")), float(apart.ask("SD[a]"))
    for above in (1e-7, 1e-8, 1e-12):
        answer = float(apart.ask(f"Q[{1 - above!r}](a)"))
        assert answer == pytest.approx(mean + sd * stats.norm.ppf(1 - above), rel=1e-5)
    ends = apart.interval({"b": [0.0], "c": ["x"]}, v.name, level=1 - 1e-9)
    half = sd * stats.norm.isf(5e-10)
    assert float(ends["high"][0]) == pytest.approx(mean + half, rel=1e-5)
    assert float(ends["low"][0]) == pytest.approx(mean - half, rel=1e-5)


def tail(a, b):
    """P(x > a, y > b)."""

    def inner(x):
        return stats.norm.pdf(x) * stats.norm.sf((b - x) / 0.7)

    top = max(a, b * 1 / 1.49)
    points = sorted({a, max(a, top - 2), top + 2, top + 12})
    return sum(
        integrate.quad(inner, *ends, epsabs=0, limit=200)[0]
        for ends in itertools.pairwise(points)
        if ends[0] < ends[1]
    )


@pytest.mark.parametrize(("x", "y"), [(6, 12), (5, 10), (2, 3), (9, 4)])
def test_a_conditional_probability_of_rare_events(pair, x, y):
    answer = pair.ask(f"P(y > {y} | x > {x})")
    expected = tail(x, y) / stats.norm.sf(x)
    assert answer.kind == "estimate"
    assert 0 < answer.stderr < 0.05 * expected
    assert abs(float(answer) - expected) < 4 * answer.stderr + 1e-9 * expected
    if answer.stderr > 1e-9 * expected:
        finer = pair.ask(f"P(y > {y} | x > {x})", stderr=float(answer.stderr) / 2)
        assert finer.stderr <= answer.stderr / 2


@pytest.mark.parametrize("x", [13, 40, 100])
def test_evidence_beyond_forty_deviations_is_answered(pair, x):
    log_sf = stats.norm.logsf(x)
    answer = pair.ask(f"E[y | x > {x}]")
    expected = math.exp(stats.norm.logpdf(x) - log_sf)
    assert abs(float(answer) - expected) < 4 * answer.stderr + 1e-9
    rare = pair.ask(f"P(x > {x})")
    assert rare.kind == "exact"
    assert rare.log == pytest.approx(log_sf, rel=1e-9)
    again = pair.ask(f"P(x > {x + 1} | x > {x})")
    assert math.log(float(again)) == pytest.approx(stats.norm.logsf(x + 1) - log_sf, rel=1e-7)


def test_what_no_float_holds_is_told_by_its_logarithm(pair):
    least = pair.ask("p(x = 100)")
    assert least.log == pytest.approx(stats.norm.logpdf(100), rel=1e-9)
    assert f"e{math.floor(stats.norm.logpdf(100) / math.log(10))} per" in str(least)
    names = [f"x{i}" for i in range(24)]
    narrow = pofx.fit({name: [0.0, 1e-30, 2e-30] for name in names}, "independent")
    most = narrow.ask(f"p({', '.join(f'{name} = 1e-30' for name in names)})")
    assert float(most) == math.inf
    assert most.log > 1000
    assert "e+" in str(most)


def test_an_answer_that_its_float_type_does_not_tell_is_an_estimate():
    columns = {"a": np.linspace(-1, 1, 40), "b": np.tile([0.0, 1.0, 3.0, 2.0], 10)}
    p = pofx.fit(columns, "gaussian")
    answer = p.ask("p(a = 1e9)")
    assert answer.kind == "estimate"
    assert "round" in str(answer)


def test_the_entropy_of_a_number_that_is_known_is_refused(apart):
    with pytest.raises(PofxError, match="both asked and given"):
        apart.entropy("a", "c", given="a")
    assert float(apart.entropy("c", given="c")) == pytest.approx(0, abs=1e-6)
    with pytest.raises(PofxError, match="infinite for a column of numbers"):
        apart.mutual_information("a", "a")
    for same in (["c"], ["c", "a"]):
        answer = apart.mutual_information("c", same)
        assert float(answer) == pytest.approx(float(apart.entropy("c")), abs=1e-6)


def test_the_information_of_a_sample_about_itself_is_refused(frame):
    for same in (frame["a"], frame["a"] ** 3, -frame["a"]):
        with pytest.raises(PofxError, match="is infinite"):
            pofx.estimate.mutual_information(frame["a"], same)
    assert float(pofx.estimate.mutual_information(frame["c"], frame["c"])) > 0.5
