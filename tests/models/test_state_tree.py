"""Sums over the states of a forest, against the enumeration of all of them."""

import time
from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pofx.models.trees.state_tree import LOG_ZERO, StateTree, even_counts, even_tree

LEVELS = (3, 2, 3, 2, 1, 2)
PARENTS = (-1, 0, 1, 1, -1, 4)
"""Two trees, 0 - 1 - {2, 3} and 4 - 5, whose nodes have one to three states."""
K = max(LEVELS)
STATES = np.array(list(product(*map(range, LEVELS))))

# These are compiled once for all tests of one float width.
log_evidence, posteriors, expected_counts, log_prob, m_step, products = map(
    eqx.filter_jit,
    (
        StateTree.log_evidence,
        StateTree.posterior,
        StateTree.expected_counts,
        StateTree.log_prob,
        StateTree.m_step,
        StateTree.products,
    ),
)


WIDTHS = [False, pytest.param(True, marks=pytest.mark.slow)]


@pytest.fixture(params=WIDTHS, ids=["float32", "float64"])
def near(request):
    """Both float widths, and the tolerance of each against an enumeration."""
    with jax.enable_x64(request.param):
        yield {"rtol": 1e-11, "atol": 1e-13} if request.param else {"rtol": 2e-5, "atol": 1e-6}


def forest():
    """A forest with random transitions between the possible states."""
    noise = np.random.default_rng(0).gamma(1.0, size=(len(LEVELS), K, K))
    possible = even_counts(LEVELS, PARENTS) > 0
    return even_tree(LEVELS, PARENTS).m_step(jnp.asarray(noise * possible))


def log_probs(tree):
    """log p(s) of all joint states, by hand."""
    out = np.zeros(len(STATES))
    log_t = np.asarray(tree.log_transition, float)
    for j, parent in enumerate(PARENTS):
        above = STATES[:, parent] if parent >= 0 else 0
        out += log_t[j, above, STATES[:, j]]
    return out


def evidence(seed=1):
    """Evidence of different sizes, some of which excludes states."""
    rng = np.random.default_rng(seed)
    log_e = rng.normal(scale=3, size=(len(LEVELS), K))
    log_e[2, 0] = LOG_ZERO
    log_e[3, 1] = -np.inf
    return log_e


def posterior(tree, log_e):
    """p(s | e) of all joint states, and log p(e)."""
    joint = log_probs(tree) + log_e[np.arange(len(LEVELS)), STATES].sum(1)
    total = np.logaddexp.reduce(joint)
    return np.exp(joint - total), total


def shares(weight):
    """Weights of joint states, summed for each node and state, (d, k)."""
    hot = STATES[:, :, None] == np.arange(K)
    return np.einsum("n,njk->jk", weight, hot)


def pairs(weight):
    """Weights of joint states, summed for each pair (s_pa(j), s_j), (d, k, k)."""
    out = np.zeros((len(LEVELS), K, K))
    for j, parent in enumerate(PARENTS):
        above = STATES[:, parent] if parent >= 0 else 0
        np.add.at(out[j], (above, STATES[:, j]), weight)
    return out


def test_all_states_sum_to_one(near):
    tree = forest()
    np.testing.assert_allclose(np.exp(log_probs(tree)).sum(), 1, **near)
    np.testing.assert_allclose(log_evidence(tree, jnp.zeros((len(LEVELS), K))), 0, atol=1e-6)


def test_log_prob_of_known_states(near):
    tree = forest()
    states = jnp.asarray(STATES)
    np.testing.assert_allclose(
        jnp.stack([log_prob(tree, s) for s in states]), log_probs(tree), **near
    )
    # Node 1 does not have this state.
    assert log_prob(tree, states[0].at[1].set(2)) == -jnp.inf


def test_many_states_are_looked_up_as_few_are():
    even = jnp.log(jax.random.dirichlet(jax.random.key(0), jnp.ones(12), (3, 12)))
    tree, s = StateTree(even, (-1, 0, 0)), jnp.array([3, 11, 0])
    expected = even[0, 0, 3] + even[1, 3, 11] + even[2, 3, 0]
    assert float(log_prob(tree, s)) == pytest.approx(float(expected), abs=1e-5)


def test_a_state_does_not_underflow_beside_a_likelier_one_that_cannot_be():
    t = jnp.log(jnp.array([[[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]]))
    log_e = jnp.array([[0.0, LOG_ZERO], [-200.0, 0.0]])
    assert float(log_evidence(StateTree(t, (-1, 0)), log_e)) == pytest.approx(-200.693, abs=1e-2)


def test_evidence_and_posterior(near):
    tree, log_e = forest(), evidence()
    p, total = posterior(tree, log_e)
    np.testing.assert_allclose(log_evidence(tree, jnp.asarray(log_e)), total, **near)
    np.testing.assert_allclose(posteriors(tree, jnp.asarray(log_e)), shares(p), **near)


def test_expected_counts_are_weighted_sums_over_rows(near):
    tree = forest()
    log_e, weight = np.stack([evidence(s) for s in range(3)]), np.array([0.5, 0.0, 2.0])
    result = expected_counts(tree, jnp.asarray(log_e), jnp.asarray(weight))
    posteriors_by_row = [posterior(tree, e) for e in log_e]
    counts = sum(w * pairs(p) for w, (p, _) in zip(weight, posteriors_by_row))
    np.testing.assert_allclose(result[0], counts, **near)
    weighted_shares = np.stack([w * shares(p) for w, (p, _) in zip(weight, posteriors_by_row)])
    np.testing.assert_allclose(result[1], weighted_shares, **near)
    np.testing.assert_allclose(
        result[2], weight @ [total for _, total in posteriors_by_row], **near
    )


def test_maximise_divides_and_leaves_what_was_not_met(near):
    tree, counts = forest(), np.zeros((len(LEVELS), K, K))
    counts[0, 0] = [6, 0, 2]
    counts[1, 2] = [1, 3, 0]
    new = np.exp(np.asarray(m_step(tree, jnp.asarray(counts)).log_transition))
    np.testing.assert_allclose(new[0, 0], [0.75, 0, 0.25], **near)
    np.testing.assert_allclose(new[1, 2], [0.25, 0.75, 0], **near)
    before = np.exp(np.asarray(tree.log_transition))
    np.testing.assert_array_equal(new[1, :2], before[1, :2])
    np.testing.assert_array_equal(new[2:], before[2:])
    # The counts expected under a tree have their maximum at that tree.
    again = m_step(tree, jnp.asarray(pairs(np.exp(log_probs(tree)))))
    np.testing.assert_allclose(log_probs(again), log_probs(tree), **near)


def test_draws_are_as_frequent_as_enumeration_says():
    tree, log_e = forest(), evidence()
    keys = jax.random.split(jax.random.key(0), 4000)
    draws = np.asarray(jax.jit(jax.vmap(tree.sample, (0, None)))(keys, jnp.asarray(log_e)))
    p, _ = posterior(tree, log_e)
    code = {tuple(s): i for i, s in enumerate(STATES.tolist())}
    counts = np.bincount([code[tuple(s)] for s in draws.tolist()], minlength=len(STATES))
    assert not counts[p < 1e-12].any()
    order = np.argsort(-p)
    often = order[len(draws) * p[order] >= 5]
    rare = np.setdiff1d(order, often)
    expected = np.append(len(draws) * p[often], len(draws) * p[rare].sum())
    observed = np.append(counts[often], counts[rare].sum())
    assert len(often) > 5
    assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-3


def test_the_likeliest_states(near):
    tree, alone = forest(), []
    viterbi = jax.jit(StateTree.viterbi)
    for seed in range(8):
        log_e = (evidence(seed) if seed else np.zeros((len(LEVELS), K))) / 10
        p, _ = posterior(tree, log_e)
        best = STATES[p.argmax()]
        np.testing.assert_array_equal(viterbi(tree, jnp.asarray(log_e)), best)
        alone.append((best == shares(p).argmax(1)).all())
    assert not all(alone), "the likeliest state of each node alone would do"


def test_products_are_expectations_of_pairs(near):
    tree = forest()
    m = np.random.default_rng(2).normal(size=(len(LEVELS), K))
    of = m[np.arange(len(LEVELS)), STATES]
    expected = of.T @ (np.exp(log_probs(tree))[:, None] * of)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(products(tree, jnp.asarray(m)), expected, **near)


def test_nothing_possible_is_log_zero_and_has_no_slope(near):
    tree, log_e = forest(), evidence()
    nowhere = log_e.copy()
    nowhere[5] = -np.inf
    both, weight = jnp.asarray(np.stack([nowhere, log_e, log_e])), jnp.array([1.0, 1.0, 0.0])
    assert log_evidence(tree, both[0]) == -jnp.inf
    np.testing.assert_array_equal(posteriors(tree, both[0]), 0)
    counts, _, total = expected_counts(tree, both, weight)
    assert total == -jnp.inf
    np.testing.assert_allclose(counts, pairs(posterior(tree, log_e)[0]), **near)

    slope = eqx.filter_jit(jax.grad(StateTree.log_evidence))(tree, both[0]).log_transition
    np.testing.assert_array_equal(slope, 0)
    states = np.asarray(tree.sample(jax.random.key(0), both[0]))
    assert ((states >= 0) & (states < K)).all()


def test_evidence_of_zero_probability_in_the_tree_is_impossible():
    sure = jnp.log(jnp.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]]))
    tree = StateTree(sure, (-1, 0))
    seen = jnp.array([[0.0, 0.0], [0.0, LOG_ZERO]])
    assert log_evidence(tree, seen) == -jnp.inf
    assert log_prob(tree, jnp.array([0, 0])) == -jnp.inf
    assert log_prob(tree, jnp.array([0, 1])) == 0


def test_a_chain_of_300_nodes_neither_underflows_nor_compiles_for_long():
    d, rng = 300, np.random.default_rng(0)
    t = rng.dirichlet(np.ones(4), (d, 4))
    tree = StateTree(jnp.log(jnp.asarray(t)), (-1, *range(d - 1)))
    log_e = rng.normal(size=(d, 4)) - 50
    forward = np.log(t[0, 0]) + log_e[0]
    for j in range(1, d):
        forward = np.logaddexp.reduce(forward[:, None] + np.log(t[j]), axis=0) + log_e[j]
    expected = np.logaddexp.reduce(forward)
    assert expected < -10_000, "would underflow, were it a product"
    began = time.perf_counter()
    value, share = jax.jit(jax.value_and_grad(tree.log_evidence))(jnp.asarray(log_e))
    share.block_until_ready()
    assert time.perf_counter() - began < 20
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(share.sum(1), 1, rtol=1e-3)


def test_the_order_of_the_nodes_is_free():
    tree, log_e = forest(), evidence()
    order = np.array([5, 3, 0, 4, 2, 1])
    place = np.argsort(order)
    parents = tuple(int(place[p]) if p >= 0 else -1 for p in np.array(PARENTS)[order])
    other = StateTree(tree.log_transition[order], parents)
    one = log_evidence(tree, jnp.asarray(log_e))
    np.testing.assert_allclose(log_evidence(other, jnp.asarray(log_e[order])), one, rtol=1e-5)
