"""What all trees share."""

import jax
import numpy as np
import pytest

from pofx.core.axes import stack
from pofx.models.chow_liu_tree import ChowLiuTree
from pofx.models.stacked import log_probs
from pofx.models.state_tree import even_tree

LEVELS, PARENTS = (2, 3, 2, 2), (1, -1, 1, 2)


def seen(key):
    """A tree whose nodes are all seen."""
    tree = even_tree(LEVELS, PARENTS)
    noise = jax.random.uniform(key, tree.log_transition.shape, minval=0.1)
    tree = tree.maximise(noise * np.exp(tree.log_transition))
    return ChowLiuTree(tree, None, LEVELS, (), 0.0)


def hidden(key):
    return ChowLiuTree.example(key).model


@pytest.mark.parametrize("tree", [seen, hidden])
def test_stacked_trees_score_as_each_alone(tree):
    parts = [tree(key) for key in jax.random.split(jax.random.key(0), 5)]
    together = jax.jit(lambda x, o: log_probs(stack(parts), x, o))
    alone = [jax.jit(lambda x, o, part=part: part.log_prob(x, o)) for part in parts]
    rng = np.random.default_rng(0)
    for share in (0.0, 0.3, 0.6, 1.0):
        x = np.array([1.0, 2.0, 0.0, 1.0])[: parts[0].size]
        observed = rng.random(len(x)) >= share
        want = [score(np.where(observed, x, np.nan), observed) for score in alone]
        got = together(np.where(observed, x, np.nan), observed)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_a_level_that_is_none_is_impossible_for_all():
    parts = stack([seen(key) for key in jax.random.split(jax.random.key(1), 3)])
    for observed in (np.ones(4, bool), np.array([True, True, False, True])):
        score = log_probs(parts, np.array([0.0, 3.0, 0.0, 0.0]), observed)
        assert np.isneginf(score).all()
