"""A Gaussian of which only the density is known, asked beside the Gaussian itself."""

import warnings
from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest

import pofx
from pofx.core.distribution import Example
from pofx.core.inexact import Density, by_guide
from pofx.core.rows import rows
from pofx.models.gaussian import Gaussian
from pofx.models.guided import Guided
from pofx.queries.guide import reliability


class Opaque(Density):
    """A tractable model that forgot how to integrate."""

    inner: Gaussian

    @property
    def size(self):
        return self.inner.size

    def log_density(self, x):
        return self.inner.log_prob(x)

    def draw(self, key):
        return self.inner.sample(key)

    def weighted(self, key, guide, x, observed):
        return by_guide(key, guide, self.log_density, x, observed)

    @classmethod
    def example(cls, key):
        own = Gaussian.example(key)
        return Example(cls(own.model), own.columns)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    a = rng.normal(size=300)
    b = 0.8 * a + 0.6 * rng.normal(size=300)
    return pd.DataFrame({"a": 3 + a, "b": b, "c": b - a + rng.normal(size=300)})


@pytest.fixture(scope="module")
def pair(data):
    """The Gaussian, and what estimates it with a guide that knows no correlation."""
    p = pofx.fit(data, "gaussian")
    guide = pofx.fit(data, "gaussian", covariance="diagonal", schema=p.schema).model
    model = Guided(Opaque(p.model), guide, jax.random.key_data(jax.random.key(1)))
    return p, replace(p, model=model)


@pytest.fixture(scope="module")
def holes(data):
    own = data[:40].copy()
    own.loc[::2, "b"] = np.nan
    own.loc[1::4, "a"] = np.nan
    return own


def test_a_complete_row_is_exact(pair, data):
    p, q = pair
    answer = q.log_prob(data[:20])
    assert answer.kind == "exact"
    np.testing.assert_allclose(answer.value, p.log_prob(data[:20]).value, rtol=1e-5)


def test_missing_cells_make_an_estimate_that_covers(pair, holes):
    p, q = pair
    answer = q.log_prob(holes)
    assert answer.kind == "estimate"
    off = np.abs(answer.value - p.log_prob(holes).value)
    assert (off < 5 * answer.stderr + 1e-4).all()
    assert off.max() > 1e-4


@pytest.mark.slow
def test_ninety_five_in_a_hundred_intervals_cover(pair, holes):
    from pofx.core.inexact import reseeded

    p, q = pair
    truth, held = p.log_prob(holes).value, []
    for seed in range(60):
        own = replace(q, model=reseeded(q.model, seed)).log_prob(holes)
        some = np.asarray(own.stderr) > 0
        held.append((np.abs(own.value - truth) < 1.96 * own.stderr)[some])
    # Of 64 draws a mean of skewed weights is not yet normal.
    assert 0.90 < np.concatenate(held).mean() < 0.98


def test_answers_cover_the_exact_ones(pair):
    p, q = pair
    for ask in (
        lambda own: own.entropy("a", "b", max_draws=4096),
        lambda own: own.mutual_information("a", "b", max_draws=4096),
        lambda own: own.ask("E[b | a = 4]"),
        lambda own: own.ask("P(b > 0.5 | a = 4)"),
    ):
        exact, found = ask(p), ask(q)
        assert exact.kind == "exact"
        assert found.kind == "estimate"
        assert float(found.stderr) > 0
        assert float(found) == pytest.approx(float(exact), abs=5 * float(found.stderr) + 0.02)


def test_the_guide_is_not_the_model(pair, holes):
    """Weights turn the guide's draws, which know no correlation, into the model's."""
    p, q = pair
    exact, found = p.impute(holes), q.impute(holes)
    assert np.abs(found["b"] - exact["b"]).max() < 0.35
    assert np.abs(exact["b"] - exact["b"].mean()).max() > 0.6


def test_draws_and_given(pair):
    p, q = pair
    own = q.given(a=4.0).sample(400, seed=1)
    exact = p.given(a=4.0).entropy("b")
    assert own["b"].mean() == pytest.approx(float(p.ask("E[b | a = 4]")), abs=0.2)
    assert np.log(own["b"].std()) + 1.419 == pytest.approx(float(exact), abs=0.15)


def test_a_guide_that_is_far_off_is_found_out(pair, data, holes):
    _, q = pair
    far = pofx.fit(data * [1, 1, 1] + [0, 15, 0], "gaussian", schema=q.schema).model
    bad = replace(q, model=replace(q.model, guide=far))
    with pytest.warns(pofx.PofxWarning, match="of little worth"):
        bad.log_prob(holes)
    with pytest.warns(pofx.PofxWarning, match="of little worth"):
        bad.impute(holes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        q.log_prob(data[:3])  # complete rows need no guide


def test_reliability_tells_what_weights_are_worth(pair, holes):
    _, q = pair
    x = q._read(holes, "error")
    own = reliability(q.model, rows(x))
    complete = ~np.isnan(x).any(1)
    assert own.effective[complete] == pytest.approx(1, abs=1e-3)
    assert (own.effective[~complete] < 1).all()
    assert (own.k[complete] == -np.inf).all()
    assert own.draws == 64


def test_the_divergence_from_itself_is_about_nothing(pair):
    p, q = pair
    found = pofx.kl(p, q, max_draws=4096)
    assert float(found) == pytest.approx(0, abs=5 * float(found.stderr) + 1e-3)
