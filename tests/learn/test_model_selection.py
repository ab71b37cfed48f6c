"""Stack weights from held-out rows, and the selection of models within a time budget."""

import time

import jax
import numpy as np
import pytest
from scipy.optimize import minimize

from pofx.core.column import Column
from pofx.core.rows import log_prob, make_rows
from pofx.learn.em import FitResult, fit_em
from pofx.learn.learner import LearnerConfig
from pofx.learn.model_selection import (
    Candidate,
    climb_ladder,
    log_mixture,
    prune_stack,
    select_and_stack,
    stack_weights,
)
from pofx.models.chow_liu_tree import ChowLiuTree
from pofx.models.gaussian import Gaussian
from pofx.models.independent import Independent

KEY = jax.random.key(0)
REAL = tuple(Column(f"x{i}", "real", family="normal") for i in range(2))
QUICK = LearnerConfig(steps=50, tolerance=1e-3)


def scores(k=3, n=200, seed=0):
    """Log-probabilities of held-out rows under k models, each best for some rows."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(k, n)) - rng.random((k, 1))


def by_scipy(scores, weight):
    def loss(a):
        w = np.exp(a - np.logaddexp.reduce(a))
        return -np.average(np.logaddexp.reduce(scores + np.log(w)[:, None], 0), weights=weight)

    found = minimize(loss, np.zeros(len(scores)), tol=1e-12)
    return np.exp(found.x - np.logaddexp.reduce(found.x))


@pytest.mark.parametrize("seed", range(3))
def test_weights_of_a_stack_are_the_most_likely(seed):
    log_probs, weight = scores(seed=seed), np.random.default_rng(seed).random(200)
    w = stack_weights(log_probs, weight)
    assert w.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(w, by_scipy(log_probs, weight), atol=2e-3)
    np.testing.assert_allclose(stack_weights(log_probs + 700 * log_probs[0], weight), w, atol=1e-9)


def test_of_one_model_the_weight_is_one_and_of_twins_a_half():
    assert stack_weights(scores(1), np.ones(200)).tolist() == [1.0]
    twins = np.repeat(scores(1), 2, 0)
    np.testing.assert_allclose(stack_weights(twins, np.ones(200)), 0.5)


def test_a_model_that_holds_a_row_impossible_has_no_share_in_it():
    log_probs = np.zeros((2, 100))
    log_probs[0] += 1.0
    log_probs[0, :10] = -np.inf
    w = stack_weights(log_probs, np.ones(100))
    assert np.isfinite(log_mixture(log_probs, w)).all()
    # The second alone explains ten rows, and the first is e times as likely elsewhere.
    np.testing.assert_allclose(w, by_scipy(np.maximum(log_probs, -600), np.ones(100)), atol=1e-3)
    # A row that nobody believes in changes nothing.
    lost = np.column_stack([log_probs, np.full((2, 1), -np.inf)])
    assert np.isfinite(stack_weights(lost, np.ones(101))).all()


def candidate(name, cls, columns=REAL, **options):
    return Candidate(name, lambda key, data: cls.from_data(key, data, columns, **options))


def halves(x, share=0.5):
    cut = int(share * len(x))
    return [(make_rows(x[:cut]), make_rows(x[cut:]))]


def lined(n=600, seed=0):
    """Correlated numbers."""
    z = np.random.default_rng(seed).normal(size=(n, 2))
    return np.column_stack([z[:, 0], 0.9 * z[:, 0] + 0.4 * z[:, 1]])


def test_gains_are_paired():
    trials = [candidate("independent", Independent), candidate("gaussian", Gaussian)]
    splits = halves(lined())
    best, lines = climb_ladder(KEY, trials, splits, QUICK)
    assert (best.name, best.number) == ("gaussian", 1)
    log_probs = log_prob(best.fits[0].model, splits[0][1])
    np.testing.assert_allclose(best.scores, log_probs, atol=1e-6)
    before = climb_ladder(KEY, trials[:1], splits, QUICK)[0].scores
    gain = best.scores - before
    assert lines[1].gain == pytest.approx(gain.mean(), abs=1e-6)
    assert lines[1].gain_stderr == pytest.approx(gain.std(ddof=1) / np.sqrt(300), rel=1e-5)
    # Rows hard for both are hard for both: their difference is surer than either.
    assert lines[1].gain_stderr < np.hypot(before.std(), best.scores.std()) / np.sqrt(300)


def test_the_model_that_is_right_wins_alone():
    ladders = [[candidate("independent", Independent)], [candidate("gaussian", Gaussian)]]
    selection = select_and_stack(KEY, ladders, halves(lined()), QUICK)
    assert [(i, e.name) for i, e in selection.members] == [(1, "gaussian")]
    np.testing.assert_array_equal(selection.weights, 1)
    assert [line.name for line in selection.board] == ["independent", "gaussian", "stack"]
    assert [line.kept for line in selection.board] == [True, True, False]
    assert selection.untried == []


def complementary(n=1200, seed=0):
    """In half of the rows the second number follows the first; the others have a wide first one."""
    rng = np.random.default_rng(seed)
    x = lined(n, seed)
    wide = rng.random(n) < 0.5
    x[wide] = rng.normal(size=(wide.sum(), 2)) @ np.diag([6.0, 0.2])
    return x


def test_models_that_are_each_right_of_some_rows_are_stacked(monkeypatch):
    x = complementary()
    train, valid = halves(x)[0]
    wide = abs(x[:600, 0]) > 2.5
    parts = {"wide": x[:600][wide], "narrow": x[:600][~wide]}

    def learned(part):
        start = Gaussian.from_data(KEY, make_rows(part), REAL)
        return fit_em(start, make_rows(part)).model

    def as_started(key, start, train, plan, valid):
        return FitResult(start(key, train), [0.0], True, 0.0)

    monkeypatch.setattr("pofx.learn.model_selection.fit", as_started)
    ladders = [[Candidate(n, lambda *_, part=part: learned(part))] for n, part in parts.items()]
    selection = select_and_stack(KEY, ladders, [(train, valid)])
    assert [e.name for _, e in selection.members] == ["wide", "narrow"]
    log_probs = np.stack([e.scores for _, e in selection.members])
    stack = next(line for line in selection.board if line.name == "stack")
    assert stack.kept
    assert stack.gain > stack.gain_stderr > 0
    expected = stack_weights(log_probs, np.ones(600))
    np.testing.assert_allclose(selection.weights, expected, atol=1e-12)
    assert (
        log_mixture(log_probs, selection.weights).mean()
        > log_probs.mean(1).max() + stack.gain_stderr
    )


def test_without_a_budget_the_first_candidate_alone_is_tried():
    ladders = [
        [candidate("a1", Independent), candidate("a2", Gaussian)],
        [candidate("b1", Gaussian), candidate("b2", Gaussian)],
        [candidate("c1", Gaussian)],
    ]
    selection = select_and_stack(KEY, ladders, halves(lined(60)), QUICK, budget=0.0)
    assert [line.name for line in selection.board] == ["a1"]
    assert [e.name for _, e in selection.members] == ["a1"]
    assert selection.untried == ["b1", "c1"]


def test_a_time_that_is_over_ends_a_ladder_after_its_first():
    trials = [candidate("a1", Independent), candidate("a2", Gaussian)]
    best, lines = climb_ladder(KEY, trials, halves(lined(60)), QUICK, until=0.0)
    assert (best.name, len(lines)) == ("a1", 1)


def test_held_out_rows_of_all_splits_judge_together():
    x = lined(90)
    parts = [x[:30], x[30:60], x[60:]]
    splits = [
        (make_rows(np.concatenate(parts[:i] + parts[i + 1 :])), make_rows(p))
        for i, p in enumerate(parts)
    ]
    best, lines = climb_ladder(KEY, [candidate("gaussian", Gaussian)], splits, QUICK)
    assert (len(best.fits), best.scores.shape) == (3, (90,))
    by_hand = np.concatenate([log_prob(f.model, v) for f, (_, v) in zip(best.fits, splits)])
    assert lines[0].log_likelihood == pytest.approx(by_hand.mean(), abs=1e-6)


def test_weights_of_held_out_rows_count():
    x = lined(80)
    weight = np.where(np.arange(40) < 20, 1.0, 0.0)
    x[60:] *= 50
    valid = make_rows(x[40:], weight=weight)
    best, lines = climb_ladder(KEY, [candidate("g", Gaussian)], [(make_rows(x[:40]), valid)], QUICK)
    assert lines[0].log_likelihood == pytest.approx(best.scores[:20].mean(), abs=1e-5)


def test_a_model_that_holds_rows_impossible_neither_wins_nor_spoils_the_stack():
    columns = (Column("c", "categorical", levels=3, family="categorical"),)
    train = make_rows(np.repeat([[0.0], [1.0]], 20, 0))
    valid = make_rows(np.array([[0.0], [1.0], [1.0], [2.0], [0.0]] * 4))
    ladders = [
        [candidate("sure", ChowLiuTree, columns, prior=0.0)],
        [candidate("open", Independent, columns, prior=1.0)],
    ]
    for order in (ladders, ladders[::-1]):
        selection = select_and_stack(KEY, order, [(train, valid)], QUICK)
        assert "open" in [e.name for _, e in selection.members]
        log_probs = np.stack([e.scores for _, e in selection.members])
        assert np.isfinite(log_mixture(log_probs, selection.weights)).all()
        by_name = {line.name: line for line in selection.board}
        assert by_name["sure"].log_likelihood == -np.inf
        assert np.isfinite(by_name["open"].log_likelihood)


def test_a_row_of_weight_zero_does_not_spoil_the_weights():
    scores = np.stack([np.full(50, -1.0), np.full(50, -60.0)])
    scores[0, 0] = -2000
    weight = np.ones(50)
    weight[0] = 0
    assert stack_weights(scores, weight)[0] == pytest.approx(1)


def test_a_small_part_stays_where_rows_would_be_impossible_without():
    scores = np.full((2, 300), -5.0)
    scores[0, :2], scores[1, 2:] = -np.inf, -100.0
    some, w = prune_stack(scores, np.ones(300))
    assert some.all()
    assert w[1] < 0.02
    some, w = prune_stack(np.stack([np.full(300, -5.0), np.full(300, -50.0)]), np.ones(300))
    assert some.tolist() == [True, False]
    some, _ = prune_stack(np.full((60, 10), -1.0), np.ones(10))
    assert some.any()


def test_a_trial_ends_between_splits_where_the_budget_does():
    begun = []

    def slow(key, data):
        begun.append(time.monotonic())
        time.sleep(0.6)
        return Gaussian.from_data(key, data, REAL)

    x = lined()
    splits = [(make_rows(np.delete(x, s, 0)), make_rows(x[s])) for s in np.split(np.arange(600), 3)]
    plain = candidate("independent", Independent)
    climb_ladder(KEY, [plain], splits, QUICK)  # what compiles does not count
    verdict = select_and_stack(KEY, [[plain], [Candidate("slow", slow)]], splits, QUICK, budget=0.5)
    assert len(begun) == 1
    assert verdict.untried == ["slow"]
    assert [line.name for line in verdict.board] == ["independent"]


def test_the_smallest_of_a_ladder_gains_over_what_came_before():
    ladder = [candidate("gaussian", Gaussian), candidate("tree", ChowLiuTree)]
    verdict = select_and_stack(
        KEY, [[candidate("independent", Independent)], ladder], halves(lined()), QUICK
    )
    first, *others = verdict.board
    line = next(one for one in others if one.name == "gaussian")
    assert line.gain == pytest.approx(line.log_likelihood - first.log_likelihood, abs=1e-5)
    assert line.gain > 0.3
