"""A Gaussian of which only the density is used, compared with the Gaussian itself."""

import warnings
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from jaxtyping import Array, Float

import pofx
from pofx.core.abstract import Example
from pofx.core.abstract_approximate import (
    AbstractEnergyModel,
    AbstractExactDensity,
    importance_weighted,
    reseeded,
)
from pofx.core.rows import make_rows
from pofx.models.gaussian import Gaussian
from pofx.models.importance_sampled import ImportanceSampled
from pofx.named.rows import encode_rows
from pofx.queries.weight_diagnostics import diagnose_weights

pytestmark = pytest.mark.slow


class Opaque(AbstractExactDensity):
    """A tractable model without its integrals."""

    inner: Gaussian

    @property
    def size(self):
        return self.inner.size

    def log_density(self, x):
        return self.inner.log_prob(x)

    def draw(self, key):
        return self.inner.sample(key)

    def weighted_completion(self, key, proposal, x, observed):
        return importance_weighted(key, proposal, self.log_density, x, observed)

    @classmethod
    def example(cls, key):
        gaussian = Gaussian.example(key)
        return Example(cls(gaussian.model), gaussian.columns)


class Own(Opaque):
    """A model that proposes by itself."""

    needs_proposal = False


class Energy(AbstractEnergyModel):
    """A tractable model known by its energy, with an estimated normaliser."""

    inner: Gaussian
    log_z: Float[Array, ""]
    log_z_stderr: Float[Array, ""]

    @property
    def size(self):
        return self.inner.size

    def energy(self, x):
        return -self.inner.log_prob(x)

    def step(self, key, x, observed):
        return self.inner.sample(key, x, observed)

    def draw(self, key):
        return self.inner.sample(key)

    @classmethod
    def example(cls, key):
        gaussian = Gaussian.example(key)
        return Example(cls(gaussian.model, jnp.zeros(()), jnp.zeros(())), gaussian.columns)


@pytest.fixture(autouse=True)
def float64():
    """The exact models are also queried below the named layer."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    a = rng.normal(size=300)
    b = 0.8 * a + 0.6 * rng.normal(size=300)
    return pd.DataFrame({"a": 3 + a, "b": b, "c": b - a + rng.normal(size=300)})


@pytest.fixture(scope="module")
def pair(data):
    """The Gaussian, and its estimate by a proposal of independent columns."""
    p = pofx.fit(data, "gaussian")
    proposal = pofx.fit(data, "gaussian", covariance="diagonal", schema=p.schema).model
    model = ImportanceSampled(Opaque(p.model), proposal, jax.random.key_data(jax.random.key(1)))
    return p, replace(p, model=model)


@pytest.fixture(scope="module")
def energy(pair):
    """The same known by its energy, with log Z known to 0.3 nats."""
    p, q = pair
    energy = Energy(p.model, jnp.zeros(()), jnp.asarray(0.3))
    return replace(q, model=replace(q.model, model=energy))


@pytest.fixture(scope="module")
def holes(data):
    rows = data[:40].copy()
    rows.loc[::2, "b"] = np.nan
    rows.loc[1::4, "a"] = np.nan
    return rows


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


def test_ninety_five_in_a_hundred_intervals_cover(pair, holes):
    from pofx.core.abstract_approximate import reseeded

    p, q = pair
    truth, held = p.log_prob(holes).value, []
    for seed in range(60):
        answer = replace(q, model=reseeded(q.model, seed)).log_prob(holes)
        subset = np.asarray(answer.stderr) > 0
        held.append((np.abs(answer.value - truth) < 1.96 * answer.stderr)[subset])
    # The mean of 64 skewed weights is not yet normal.
    assert 0.90 < np.concatenate(held).mean() < 0.98


def test_answers_cover_the_exact_ones(pair):
    p, q = pair
    for ask in (
        lambda q: q.entropy("a", "b", max_draws=4096),
        lambda q: q.mutual_information("a", "b", max_draws=4096),
        lambda q: q.ask("E[b | a = 4]"),
        lambda q: q.ask("P(b > 0.5 | a = 4)"),
    ):
        exact, estimate = ask(p), ask(q)
        assert exact.kind == "exact"
        assert estimate.kind == "estimate"
        assert float(estimate.stderr) > 0
        assert float(estimate) == pytest.approx(float(exact), abs=5 * float(estimate.stderr) + 0.02)


def test_the_guide_is_not_the_model(pair, holes):
    """Weights turn the uncorrelated draws of the proposal into draws of the model."""
    p, q = pair
    exact, estimate = p.impute(holes), q.impute(holes)
    assert np.abs(estimate["b"] - exact["b"]).max() < 0.35
    assert np.abs(exact["b"] - exact["b"].mean()).max() > 0.6


def test_draws_and_given(pair):
    p, q = pair
    draws = q.given(a=4.0).sample(400, seed=1)
    exact = p.given(a=4.0).entropy("b")
    assert draws["b"].mean() == pytest.approx(float(p.ask("E[b | a = 4]")), abs=0.2)
    assert np.log(draws["b"].std()) + 1.419 == pytest.approx(float(exact), abs=0.15)


@pytest.fixture(scope="module")
def far(pair, data):
    """A model whose proposal is far off."""
    _, q = pair
    proposal = pofx.fit(data * [1, 1, 1] + [0, 15, 0], "gaussian", schema=q.schema).model
    return replace(q, model=replace(q.model, proposal=proposal))


def test_a_guide_that_is_far_off_is_found_out(pair, data, holes, far):
    for ask in (
        lambda: far.log_prob(holes),
        lambda: far.impute(holes),
        lambda: far.given(a=3.0).sample(2),
        lambda: far.given(a=3.0).log_prob(data[["b", "c"]][:2]),
    ):
        with pytest.warns(pofx.PofxWarning, match="is unreliable.* try another proposal="):
            ask()
    proposing = replace(far, model=replace(far.model, model=Own(far.model.model.inner)))
    with pytest.warns(pofx.PofxWarning, match="is unreliable.* try an exact model"):
        proposing.log_prob(holes)


def test_levels_of_a_poor_guide_are_doubted():
    same = pd.DataFrame(
        {"s": ["u", "v"] * 20, "t": [1, 1, 0, 0] * 10, "x": [0.0, 5, 0.1, 5.1] * 10}
    )
    p = pofx.fit(same, "mixture", components=2)
    proposal = pofx.fit(same.assign(x=same["x"] + 40), "independent", schema=p.schema).model
    model = ImportanceSampled(Opaque(p.model), proposal, jax.random.key_data(jax.random.key(1)))
    for question in ("p(s)", "P(s = u)", "H(s)", "I(s; t)"):
        with pytest.warns(pofx.PofxWarning, match="is unreliable"):
            replace(p, model=model).ask(question)


def test_what_needs_no_guide_is_not_doubted(far, data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        far.log_prob(data[:3])
        far.log_prob(pd.DataFrame({"a": [None, 3.0], "b": [None, 0.1], "c": [None, -0.2]}))
        drawn = far.sample(300)
    # Nor do rows without a cell lean on it.
    assert drawn["b"].mean() == pytest.approx(data["b"].mean(), abs=0.3)


def test_reliability_tells_what_weights_are_worth(pair, holes):
    _, q = pair
    x = encode_rows(q, holes, "error")
    diagnostics = diagnose_weights(q.model, make_rows(x))
    complete = ~np.isnan(x).any(1)
    assert diagnostics.ess_share[complete] == pytest.approx(1, abs=1e-3)
    assert (diagnostics.ess_share[~complete] < 1).all()
    assert (diagnostics.pareto_k[complete] == -np.inf).all()
    assert diagnostics.draws == 64


def test_the_divergence_from_itself_is_about_nothing(pair):
    p, q = pair
    estimate = pofx.kl(p, q, max_draws=4096)
    assert float(estimate) == pytest.approx(0, abs=5 * float(estimate.stderr) + 1e-3)


@pytest.mark.parametrize(("shift", "lost"), [(0.5, (0, 0.01)), (1.0, (0, 0.3)), (3.0, (0.8, 1))])
def test_rows_are_lost_where_their_weights_say_nothing(pair, shift, lost):
    """Weights exp(shift n - shift²/2), n normal; Pareto k of 64 of them is very noisy."""
    p, q = pair
    seen = np.arange(3) < 2
    proposal = eqx.tree_at(lambda g: g.mean, p.model, p.model.mean)
    var = np.linalg.inv(np.linalg.inv(np.asarray(p.model.covariance))[2:, 2:])[0, 0]
    moved = proposal.mean.at[2].add(shift * np.sqrt(var))
    model = replace(q.model, proposal=eqx.tree_at(lambda g: g.mean, proposal, moved))
    x = make_rows(np.where(seen, np.asarray(p.model.mean, np.float64), np.nan)[None])
    results = [diagnose_weights(reseeded(model, i), x) for i in range(100)]
    doubted = np.mean([one.unreliable[0] for one in results])
    assert lost[0] <= doubted <= lost[1]
    truth = float(p.model.log_prob(x.x[0, 0], jnp.asarray(seen)))
    off = np.array([one.log_prob[0] - truth for one in results if not one.unreliable[0]])
    error = np.array([one.stderr[0] for one in results if not one.unreliable[0]])
    if shift <= 1:
        assert (np.abs(off) < 3 * error).mean() > 0.9


def test_the_error_of_log_z_is_in_the_answer(energy, data, holes):
    log_density = energy.log_prob(data[:5])
    assert (log_density.kind, log_density.method) == ("estimate", "log Z estimated")
    np.testing.assert_allclose(log_density.stderr, 0.3, rtol=1e-6)
    assert (energy.log_prob(holes[:5]).stderr >= 0.3 - 1e-6).all()
    nothing = energy.log_prob(pd.DataFrame({"a": [None], "b": [None], "c": [None]}))
    assert (nothing.kind, nothing.value[0]) == ("exact", 0)
    known = eqx.tree_at(lambda m: m.model.log_z_stderr, energy.model, jnp.zeros(()))
    assert replace(energy, model=known).log_prob(data[:5]).kind == "exact"


def test_the_error_of_log_z_is_in_what_follows_and_cancels_in_ratios(energy, data):
    alone = energy.marginal("a", "b", "c").log_prob(data[:2])
    assert alone.kind == "estimate"
    np.testing.assert_allclose(alone.stderr, 0.3, rtol=1e-2)
    assert alone.mean().stderr == pytest.approx(0.3, rel=0.05)
    np.testing.assert_allclose(alone.value, energy.log_prob(data[:2]).value, atol=1e-3)
    # Of a ratio it cancels.
    ratio = energy.given(a=4.0).log_prob(data[["b", "c"]][:2])
    assert ratio.kind == "estimate"
    assert (np.asarray(ratio.stderr) < 0.15).all()
    entropy = energy.entropy("a", max_draws=4096)
    assert float(entropy.stderr) == pytest.approx(0.3, rel=0.2)


@pytest.fixture(scope="module")
def classes():
    """Three levels and two numbers: a mixture, and the same without its integrals."""
    rng = np.random.default_rng(0)
    level = rng.integers(0, 3, 300)
    x = rng.normal(level[:, None], 1, (300, 2))
    data = pd.DataFrame({"y": np.array(["a", "b", "c"])[level], "u": x[:, 0], "v": x[:, 1]})
    p = pofx.fit(data, "mixture", components=3, restarts=1)
    proposal = pofx.fit(data, "independent", schema=p.schema).model
    model = ImportanceSampled(
        Opaque(p.model), proposal, jax.random.key_data(jax.random.key(1)), 512
    )
    return p, replace(p, model=model), data


def test_a_class_of_three_levels_has_a_posterior_where_other_cells_are_missing(classes):
    p, q, data = classes
    subset = data[:30].assign(v=np.nan)
    ours, true = (np.asarray(m.predict_proba(subset, "y")) for m in (q, p))
    np.testing.assert_allclose(ours.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(ours, true, atol=0.15)
    guessed = q.impute(subset.assign(y=None))["y"]
    assert len(set(guessed)) == 3


def test_log_z_is_counted_once_for_each_energy_and_moves_no_answer(energy, pair, data):
    p, _ = pair
    other = eqx.tree_at(lambda m: m.model.log_z, energy.model, jnp.asarray(0.1))
    apart = pofx.kl(energy, replace(energy, model=other))
    assert apart.stderr == pytest.approx(0.3 * np.sqrt(2), rel=0.15)
    assert pofx.kl(energy, energy).stderr < 0.05
    density = energy.ask("p(b = 0.5)")
    assert float(density) == pytest.approx(float(p.ask("p(b = 0.5)")), rel=0.1)
    assert density.stderr > 0.25 * float(density)
    gain = pofx.compare(energy, p, data[:100])
    assert gain.stderr == pytest.approx(0.3, rel=0.05)


def test_rows_that_are_the_same_have_the_same_error(pair):
    _, q = pair
    one = pd.DataFrame({"a": [3.0], "b": [np.nan], "c": [0.5]})
    many = pd.concat([one] * 50, ignore_index=True)
    assert q.log_prob(many).mean().stderr == pytest.approx(q.log_prob(one).stderr[0], rel=1e-3)
    apart = many.assign(a=np.linspace(2, 4, 50))
    assert q.log_prob(apart).mean().stderr < 0.3 * q.log_prob(apart).stderr.mean()


def test_a_poor_guide_is_told_whatever_is_asked(pair, data):
    _, q = pair
    far = eqx.tree_at(lambda m: m.proposal.mean, q.model, q.model.proposal.mean + 8)
    poor, subset = replace(q, model=far), data[:20].assign(b=np.nan)
    for ask in (
        lambda: poor.predict(subset, "b"),
        lambda: poor.interval(subset, "b", 0.9),
        lambda: poor.tail_probability(subset),
        lambda: poor.entropy("a", max_draws=2048),
        lambda: poor.mutual_information("a", "b", max_draws=2048),
        lambda: poor.ask("p(b = 0.1)"),
        lambda: poor.ask("E[b | a = 3]"),
        lambda: poor.ask("P(b > 0 | a = 3)"),
    ):
        with pytest.warns(pofx.PofxWarning, match="is unreliable"):
            ask()
