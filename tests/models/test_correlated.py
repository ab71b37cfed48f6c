"""Correlated numbers with other columns: compared with scipy, and as parts of mixtures."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import pofx
from pofx.core.column import Column
from pofx.core.errors import PofxError
from pofx.fitting.candidates import candidate_ladders
from pofx.models.correlated import Correlated
from pofx.queries import information
from pofx.table.schema_inference import infer

from .conftest import draws, learn, scores

pytestmark = pytest.mark.usefixtures("float64")

COLUMNS = (
    Column("a", "real", family="normal"),
    Column("y", "categorical", levels=3, family="categorical"),
    Column("b", "positive", family="log_normal"),
    Column("c", "real", family="normal"),
)
NUMBERS = [0, 2, 3]


def table(n=400, seed=0):
    rng = np.random.default_rng(seed)
    half = np.array([[1, 0, 0], [0.6, 0.5, 0], [-0.5, 0.4, 0.7]])
    z = rng.normal(size=(n, 3)) @ half.T + [2, 0.5, -1]
    return np.stack([z[:, 0], rng.integers(0, 3, n), np.exp(z[:, 1]), z[:, 2]], 1)


def logged(x):
    return np.stack([x[:, 0], np.log(x[:, 2]), x[:, 3]], 1)


def test_it_is_a_normal_of_numbers_and_logarithms_beside_shares():
    x = table()
    p = learn(Correlated, x, COLUMNS, prior=0.0).model
    z = logged(x)
    normal = stats.multivariate_normal(z.mean(0), np.cov(z.T, bias=True))
    shares = np.bincount(x[:, 1].astype(int)) / len(x)
    expected = normal.logpdf(z) - np.log(x[:, 2]) + np.log(shares[x[:, 1].astype(int)])
    np.testing.assert_allclose(scores(p, x), expected, rtol=1e-6)


def test_what_no_logarithm_has_is_impossible():
    p = learn(Correlated, table(), COLUMNS).model
    assert scores(p, np.array([[2.0, 0, -1, 0]]))[0] == -np.inf
    assert np.isfinite(scores(p, np.array([[2.0, 0, np.nan, 0]]))[0])


def test_missing_cells_by_em():
    x = table(2000, 1)
    holed = np.where(np.random.default_rng(2).random(x.shape) < 0.2, np.nan, x)
    p = learn(Correlated, holed, COLUMNS, prior=0.0).model
    z = logged(x)
    np.testing.assert_allclose(p.normal.mean, z.mean(0), atol=0.06)
    np.testing.assert_allclose(p.normal.covariance, np.cov(z.T), atol=0.08)


def test_moments_and_conditional_means_are_those_of_draws():
    from pofx.core import closed_forms

    p = Correlated.example(jax.random.key(1)).model
    x = draws(p, 40_000)
    mean, covariance = closed_forms.moments.find(p)(p)
    error = x.std(0) / np.sqrt(len(x))
    assert (np.abs(x.mean(0) - np.asarray(mean)) < 5 * error).all()
    np.testing.assert_allclose(covariance, np.cov(x.T), atol=0.03)
    row, observed = jnp.array([0.3, 0, 0, 0]), jnp.array([True, False, False, False])
    own = jax.vmap(p.sample, (0, None, None))(
        jax.random.split(jax.random.key(2), 20_000), row, observed
    )
    expected = closed_forms.expectation.find(p)(p, row, observed)
    np.testing.assert_allclose(np.asarray(own).mean(0)[1:], np.asarray(expected)[1:], atol=0.02)


def test_the_likeliest_completion_is_the_highest_point():
    from pofx.core import closed_forms

    p = Correlated.example(jax.random.key(1)).model
    row, observed = jnp.array([0.3, 0, 0, 0]), jnp.array([True, False, False, False])
    best, top = closed_forms.most_probable.find(p)(p, row, observed)
    steps = 0.05 * np.random.default_rng(0).normal(size=(200, 4)) * ~np.asarray(observed)
    near = np.asarray(best) + steps
    near[:, 1] = np.asarray(best)[1]
    assert scores(p, near).max() <= float(top)
    assert float(p.log_prob(best)) == pytest.approx(float(top))


def test_entropies_are_closed():
    p, columns = Correlated.example(jax.random.key(0))
    x = draws(p, 20_000)
    for asked in ([1, 1, 1, 1], [0, 0, 1, 0], [0, 1, 1, 0]):
        asked = np.array(asked, bool)
        own = -scores(p, np.where(asked, x, np.nan))
        value = information.exact_entropy(p, columns, asked)
        assert float(value) == pytest.approx(own.mean(), abs=5 * own.std() / np.sqrt(len(own)))


def test_it_wants_a_number():
    with pytest.raises(PofxError, match="expected one of real or positive numbers"):
        learn(Correlated, table()[:, [1]], COLUMNS[1:2])


@pytest.mark.slow
def test_a_range_of_one_number_is_closed_and_of_two_an_estimate():
    rng = np.random.default_rng(0)
    x = table(300)
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 2], "kind": rng.choice(["u", "v"], 300)})
    p = pofx.fit(frame, "mixture", components=2, part="correlated", restarts=1)
    one, two = p.ask("P(b > 2 | kind = u)"), p.ask("P(a > 2, b > 2)")
    assert one.kind == "exact"
    assert two.kind == "estimate"
    seen = p.sample(20_000, seed=1)
    some = seen[seen["kind"] == "u"]
    assert float(one) == pytest.approx((some["b"] > 2).mean(), abs=0.02)
    assert float(two) == pytest.approx(((seen["a"] > 2) & (seen["b"] > 2)).mean(), abs=0.02)


def test_the_default_fit_tries_it_on_mixed_tables_alone():
    x = table(60)
    mixed = pd.DataFrame({"a": x[:, 0], "b": x[:, 2], "kind": ["u", "v", "w"] * 20})
    names = {
        name: [ladder[0].name for ladder in candidate_ladders(infer(frame), 60)]
        for name, frame in (
            ("mixed", mixed),
            ("real", pd.DataFrame({"a": x[:, 0], "c": x[:, 3]})),
            ("levels", mixed[["kind"]].assign(other=["s", "t"] * 30)),
        )
    }
    assert "correlated" in names["mixed"]
    assert "gaussian" in names["real"]
    assert "correlated" not in names["real"] + names["levels"]
    assert "gaussian" not in names["mixed"] + names["levels"]
