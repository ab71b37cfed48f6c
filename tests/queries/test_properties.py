"""Properties that every information has, and the errors of estimates with known values."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from pofx.core.column import Column
from pofx.core.component_axis import stack_modules
from pofx.families.bernoulli import Bernoulli
from pofx.models.class_conditional import ClassConditional
from pofx.models.factor_analysis import FactorAnalysis
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent
from pofx.models.mixture import Mixture
from pofx.models.ppca import PPCA
from pofx.queries import divergence, information, pairwise_information
from pofx.queries.monte_carlo import monte_carlo

pytestmark = pytest.mark.slow

KEY = jax.random.key(0)
EVERY = np.ones(4, bool)


def mask(*places, d=4):
    return np.isin(np.arange(d), places)


@pytest.fixture(scope="module")
def coins():
    """Four dependent binary columns, a mixture of independent ones."""
    rng = np.random.default_rng(3)
    parts = []
    for _ in range(3):
        own = Bernoulli(jnp.asarray(rng.normal(0, 1.5, 4)))
        parts.append(Independent((own,), (own,), ((0, 1, 2, 3),)))
    columns = tuple(Column(n, "binary", levels=2, family="bernoulli") for n in "abcd")
    return Mixture(jnp.log(jnp.array([0.2, 0.5, 0.3])), stack_modules(parts)), columns


@pytest.fixture(scope="module")
def blobs():
    """A mixture of two Gaussians on four columns, which has no closed entropy."""
    rng = np.random.default_rng(5)
    parts, covariances, means = [], [], []
    for _ in range(2):
        half = rng.normal(size=(4, 4))
        means.append(rng.normal(0, 1.5, 4))
        covariances.append(half @ half.T + 0.5 * np.eye(4))
        parts.append(Gaussian.from_moments(jnp.asarray(means[-1]), jnp.asarray(covariances[-1])))
    columns = tuple(Column(n, "real", family="normal") for n in "abcd")
    model = Mixture(jnp.log(jnp.array([0.4, 0.6])), stack_modules(parts))
    return model, columns, np.array(means), np.array(covariances)


def test_exact_information_keeps_its_laws(coins):
    p, columns = coins

    def h(a, b=()):
        return float(information.conditional_entropy(KEY, p, columns, mask(*a), mask(*b)))

    def i(a, b, c=()):
        masks = (mask(*m) for m in (a, b, c))
        return float(information.mutual_information(KEY, p, columns, *masks))

    close = {"abs": 2e-6}
    for a, b in itertools.permutations(range(4), 2):
        assert i([a], [b]) == pytest.approx(i([b], [a]), **close)
        assert i([a], [b]) > -1e-6
        assert h([a], [b]) <= h([a]) + 1e-6
    # The chain rules of entropy and of information.
    assert h([0, 1, 2]) == pytest.approx(h([0]) + h([1], [0]) + h([2], [0, 1]), **close)
    assert i([0, 1], [2]) == pytest.approx(i([0], [2]) + i([1], [2], [0]), **close)
    total = information.total_correlation(KEY, p, columns, [mask(0), mask(1), mask(2)], mask())
    assert float(total) == pytest.approx(h([0]) + h([1]) + h([2]) - h([0, 1, 2]), **close)
    assert h([1], [1]) == 0


def test_processing_loses_information(coins):
    # d depends on a through the hidden category alone, so I(d; z) bounds I(d; a): here by the sum
    # over the category as a column of its own.
    p, columns = coins
    chain = ClassConditional(p.log_weights, p.parts, 0)
    hidden = (Column("z", "categorical", levels=3), *columns)
    everything = information.mutual_information(
        KEY, chain, hidden, mask(4, d=5), mask(0, d=5), mask(d=5)
    )
    for a in range(3):
        part = information.mutual_information(KEY, p, columns, mask(3), mask(a), mask())
        assert float(part) <= float(everything) + 1e-6
        apart = information.mutual_information(
            KEY, chain, hidden, mask(4, d=5), mask(a + 1, d=5), mask(0, d=5)
        )
        assert float(apart) == pytest.approx(0, abs=2e-6)


def test_independence_is_zero_information(blobs):
    own = Bernoulli(jnp.zeros(4))
    p = Independent((own,), (own,), ((0, 1, 2, 3),))
    columns = tuple(Column(n, "binary", levels=2, family="bernoulli") for n in "abcd")
    found = information.mutual_information(KEY, p, columns, mask(0, 1), mask(2), mask(3))
    assert (found.kind, float(found)) == ("exact", 0.0)


def test_estimates_keep_the_chain_rule_within_their_errors(blobs):
    p, columns, *_ = blobs

    def i(a, b, c=()):
        masks = (mask(*m) for m in (a, b, c))
        return information.mutual_information(KEY, p, columns, *masks, max_draws=8192)

    whole, first, rest = i([0, 1], [2]), i([0], [2]), i([1], [2], [0])
    error = math.hypot(whole.stderr, first.stderr, rest.stderr)
    assert abs(float(whole) - float(first) - float(rest)) < 4 * error
    assert whole.kind == "estimate"


def test_estimates_lie_between_the_bounds_of_kolchinsky_and_tracey(blobs):
    # H >= H(x|z) - Σ w log Σ w exp(-Bhattacharyya), H <= the same with KL (2017, eqs. 10 and 13).
    p, columns, means, covariances = blobs
    w = np.array([0.4, 0.6])
    given = sum(w * [stats.multivariate_normal(m, c).entropy() for m, c in zip(means, covariances)])

    def kl(i, j):
        inverse = np.linalg.inv(covariances[j])
        off = means[j] - means[i]
        dets = np.linalg.slogdet(covariances[j])[1] - np.linalg.slogdet(covariances[i])[1]
        return 0.5 * (np.trace(inverse @ covariances[i]) + off @ inverse @ off - 4 + dets)

    def bhattacharyya(i, j):
        middle, off = (covariances[i] + covariances[j]) / 2, means[j] - means[i]
        dets = [np.linalg.slogdet(c)[1] for c in (middle, covariances[i], covariances[j])]
        return off @ np.linalg.solve(middle, off) / 8 + (dets[0] - (dets[1] + dets[2]) / 2) / 2

    def bound(distance):
        pairs = np.array([[distance(i, j) for j in range(2)] for i in range(2)])
        return given - w @ logsumexp(np.log(w) - pairs, axis=1)

    found = information.entropy(KEY, p, columns, EVERY, max_draws=16384)
    assert bound(bhattacharyya) - 3 * found.stderr < float(found) < bound(kl) + 3 * found.stderr
    assert bound(kl) - bound(bhattacharyya) < 0.7


def test_divergences(coins, blobs):
    p, columns = coins
    q = Independent((Bernoulli(jnp.zeros(4)),), (Bernoulli(jnp.zeros(4)),), ((0, 1, 2, 3),))
    cells = np.array(list(itertools.product([0.0, 1.0], repeat=4)))
    log_p, log_q = (
        np.asarray(jax.vmap(m.log_prob)(jnp.asarray(cells, jnp.float32))) for m in (p, q)
    )
    exact = float(divergence.kl(KEY, p, q, columns, EVERY))
    assert exact == pytest.approx(np.exp(log_p) @ (log_p - log_q), abs=1e-5)
    cross = float(divergence.cross_entropy(KEY, p, q, columns, EVERY))
    assert cross == pytest.approx(-np.exp(log_p) @ log_q, abs=1e-5)
    one = divergence.jensen_shannon(KEY, p, q, columns, EVERY)
    other = divergence.jensen_shannon(KEY, q, p, columns, EVERY)
    assert one.kind == "exact"
    assert float(one) == pytest.approx(float(other), abs=1e-6)
    assert 0 < float(one) < math.log(2)
    # A part of the columns diverges no more than all of them.
    assert float(divergence.kl(KEY, p, q, columns, mask(0, 1))) <= exact
    blob, numbers, *_ = blobs
    normal = Gaussian.from_moments(jnp.zeros(4), jnp.eye(4))
    drawn = divergence.jensen_shannon(KEY, blob, normal, numbers, EVERY, max_draws=4096)
    assert 0 < float(drawn) < math.log(2)


def test_what_is_gaussian_by_another_name_has_closed_divergences():
    p, columns = PPCA.example(KEY)
    q, _ = FactorAnalysis.example(jax.random.key(1))
    found = divergence.kl(KEY, p, q, columns, mask(0, 2))
    assert found.kind == "exact"
    loading, other = np.asarray(p.loading, float), np.asarray(q.loading, float)
    s = (loading @ loading.T + float(p.noise) * np.eye(4))[np.ix_([0, 2], [0, 2])]
    t = (other @ other.T + np.diag(np.asarray(q.noise, float)))[np.ix_([0, 2], [0, 2])]
    off = (np.asarray(q.mean) - np.asarray(p.mean))[[0, 2]]
    dets = np.linalg.slogdet(t)[1] - np.linalg.slogdet(s)[1]
    expected = 0.5 * (np.trace(np.linalg.solve(t, s)) + off @ np.linalg.solve(t, off) - 2 + dets)
    assert float(found) == pytest.approx(expected, rel=1e-4)
    # Its marginal mixture of one component too.
    one = Mixture(jnp.zeros(1), stack_modules([p]))
    assert divergence.kl(KEY, one, q, columns, EVERY).kind == "exact"


def test_what_is_known_sharpens_what_is_not():
    # I(y; x): H(y) and H(x, y) are closed, H(x) is not; with them as controls the error is less.
    parts = stack_modules(
        [Gaussian.from_moments(jnp.array([m]), jnp.array([[1.0]])) for m in (0.0, 1.5)]
    )
    p = ClassConditional(jnp.log(jnp.array([0.5, 0.5])), parts, 0)
    columns = (Column("y", "binary", levels=2), Column("x", "real", family="normal"))
    masks = np.array([[1, 0], [0, 1], [1, 1]], bool)
    signs = np.array([-1.0, -1.0, 1.0])
    entropies = {
        0: float(information.exact_entropy(p, columns, masks[0])),
        2: float(information.exact_entropy(p, columns, masks[2])),
    }
    plain, helped = (
        monte_carlo(
            KEY, information.LogRatio.from_terms(p, columns, signs, masks, known), max_draws=4096
        )
        for known in ({}, entropies)
    )
    assert helped.stderr < 0.8 * plain.stderr
    assert abs(float(plain) - float(helped)) < 4 * plain.stderr


def test_all_pairs_at_once_are_the_pairs(coins, blobs):
    p, columns = coins
    groups = [mask(j) for j in range(4)]
    found = pairwise_information.mutual_informations(KEY, p, columns, groups)
    assert found.kind == "exact"
    assert np.isnan(np.diag(found.value)).all()
    one = information.mutual_information(KEY, p, columns, mask(1), mask(3), mask())
    assert found.value[1, 3] == found.value[3, 1] == pytest.approx(float(one), abs=1e-6)
    blob, numbers, *_ = blobs
    drawn = pairwise_information.mutual_informations(KEY, blob, numbers, groups, max_draws=8192)
    for i, j in [(0, 1), (2, 3)]:
        one = information.mutual_information(
            jax.random.key(4), blob, numbers, mask(i), mask(j), mask(), max_draws=8192
        )
        error = math.hypot(one.stderr, drawn.stderr[i, j])
        assert abs(float(one) - drawn.value[i, j]) < 4 * error
    short = pairwise_information.mutual_informations(
        KEY, blob, numbers, groups, stderr=1e-5, max_draws=4096
    )
    assert "budget spent" in short.method
