"""Tree models: stacked trees, impossible levels, and compiled code that trees share."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pofx.core.closed_forms import with_structure_as_data
from pofx.core.component_axis import stack_modules
from pofx.core.rows import make_rows
from pofx.learn.em import em_step
from pofx.models.chow_liu_tree import ChowLiuTree
from pofx.models.components.operations import log_probs
from pofx.models.trees.state_tree import StateTree, even_tree

pytestmark = pytest.mark.slow

LEVELS, PARENTS = (2, 3, 2, 2), (1, -1, 1, 2)


def seen(key):
    """A tree without hidden nodes."""
    tree = even_tree(LEVELS, PARENTS)
    noise = jax.random.uniform(key, tree.log_transition.shape, minval=0.1)
    tree = tree.m_step(noise * np.exp(tree.log_transition))
    return ChowLiuTree(tree, None, LEVELS, (), 0.0)


def hidden(key):
    return ChowLiuTree.example(key).model


@pytest.mark.parametrize("tree", [seen, hidden])
def test_stacked_trees_score_as_each_alone(tree):
    parts = [tree(key) for key in jax.random.split(jax.random.key(0), 5)]
    together = jax.jit(lambda x, o: log_probs(stack_modules(parts), x, o))
    alone = [jax.jit(lambda x, o, part=part: part.log_prob(x, o)) for part in parts]
    rng = np.random.default_rng(0)
    for share in (0.0, 0.3, 0.6, 1.0):
        x = np.array([1.0, 2.0, 0.0, 1.0])[: parts[0].size]
        observed = rng.random(len(x)) >= share
        want = [score(np.where(observed, x, np.nan), observed) for score in alone]
        got = together(np.where(observed, x, np.nan), observed)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_a_level_that_is_none_is_impossible_for_all():
    parts = stack_modules([seen(key) for key in jax.random.split(jax.random.key(1), 3)])
    for observed in (np.ones(4, bool), np.array([True, True, False, True])):
        score = log_probs(parts, np.array([0.0, 3.0, 0.0, 0.0]), observed)
        assert np.isneginf(score).all()


@pytest.mark.parametrize("tree", [seen, hidden])
def test_trees_of_one_size_are_one_program(tree):
    """With the structure as data, code compiled for one tree serves another."""
    p = tree(jax.random.key(2))
    d = len(p.tree.log_transition)
    chain = StateTree(p.tree.log_transition, tuple(range(-1, d - 1)))
    q = eqx.tree_at(lambda p: p.tree, p, chain)
    (one, back), (other, _) = with_structure_as_data(p), with_structure_as_data(q)
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert jax.tree.structure(p) != jax.tree.structure(q)
    assert jax.tree.structure(back(one)) == jax.tree.structure(p)
    x = np.array([[1.0, 2.0, 0.0, 1.0], [0.0, np.nan, 1.0, np.nan]])[:, :d]
    x[0, :d] = [1.0, 1.0, 0.0, 1.0][:d]
    data = make_rows(x)
    for plain, loose in ((p, one), (q, other)):
        score = eqx.filter_jit(lambda m, x: jax.vmap(m.log_prob)(x, ~jnp.isnan(x)))
        np.testing.assert_allclose(score(loose, x), score(plain, x), rtol=1e-5)
        (new, value), (expected, known) = (em_step(m, data) for m in (loose, plain))
        np.testing.assert_allclose(value, known, rtol=1e-5)
        got, want = (np.exp(m.tree.log_transition) for m in (new, expected))
        np.testing.assert_allclose(got, want, atol=1e-5)
