"""Which of several models: compared on held-out rows, and stacked where that helps."""

import time
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from pofx.core.answer import Answer, mean_over_rows
from pofx.core.errors import PofxWarning, recording_warnings
from pofx.core.rows import Rows
from pofx.core.rows import log_prob as scores_of
from pofx.learn.em import FitResult
from pofx.learn.learner import DEFAULT_CONFIG, LearnerConfig, Start, fit

LEAST = 0.02
"""The smallest weight of a model in a stack, and what one of less may be worth in nats a row."""


class Candidate(NamedTuple):
    """A model under comparison: its name and the function that starts it from data."""

    name: str
    from_data: Start


class LeaderboardRow(NamedTuple):
    """A line of the leaderboard: held-out log-likelihood in nats a row.

    `gain` is the paired difference from the best line before it, with its standard error; `kept`
    says whether it then was the best itself.
    """

    name: str
    log_likelihood: float
    stderr: float
    gain: float
    gain_stderr: float
    kept: bool
    seconds: float


class FittedCandidate(NamedTuple):
    """A candidate, its number among its like, its fit to each split, and its held-out scores."""

    name: str
    number: int
    fits: list[FitResult]
    scores: Float[np.ndarray, "n"]


class SelectionResult(NamedTuple):
    """The models chosen, their weights in a stack, and the leaderboard."""

    chosen: list[tuple[int, FittedCandidate]]
    weights: Float[np.ndarray, "k"]
    board: list[LeaderboardRow]
    untried: list[str]


Split = tuple[Rows, Rows]


def climb_ladder(
    key: PRNGKeyArray,
    candidates: Sequence[Candidate],
    splits: Sequence[Split],
    plan: LearnerConfig = DEFAULT_CONFIG,
    *,
    patience: int = 2,
    until: float = float("inf"),
    end: float = float("inf"),
    before: Float[np.ndarray, "n"] | None = None,
) -> tuple[FittedCandidate | None, list[LeaderboardRow]]:
    """The candidate that held-out rows prefer, in order of growing size.

    Each split holds rows to learn from and rows held out; the held-out rows of all of them judge
    together. A larger candidate is kept where its mean paired gain exceeds one standard error, so
    that noise alone buys no parameters; after `patience` that are not, or at the time `until` on
    the clock of `time.monotonic`, the search ends. A candidate not learned from every split at the
    time `end` is not judged, but for the smallest where nothing came `before`: the held-out scores
    that its gain is told against.
    """
    best, lines = None, []
    weight = np.concatenate([valid.to_arrays()[2] for _, valid in splits])
    for i, candidate in enumerate(candidates):
        began = time.monotonic()
        if best is not None and (began >= until or i - best.number > patience):
            break
        last = end if best or before is not None else float("inf")
        left = plan._replace(seconds=max(min(plan.seconds, (until - began) / len(splits)), 1e-3))
        fits = _trials(key, candidate.from_data, splits, left, last)
        if len(fits) < len(splits):
            break
        score = np.concatenate([scores_of(t.model, v) for t, (_, v) in zip(fits, splits)])
        line = _line(candidate.name, score, best.scores if best else before, weight, began)
        lines.append(line)
        if line.kept or best is None:
            best = FittedCandidate(candidate.name, i, fits, score)
    return best, lines


def _trials(
    key, start: Start, splits: Sequence[Split], plan: LearnerConfig, end: float
) -> list[FitResult]:
    """A fit to each split, as many as are begun before `end`; what is left is shared evenly."""
    fits = []
    with recording_warnings(), warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # a trial need not converge
        for i, (train, valid) in enumerate(splits):
            left = end - time.monotonic()
            if left <= 0:
                break
            own = plan._replace(seconds=min(plan.seconds, left / (len(splits) - i)))
            fits.append(fit(key, start, train, own, valid))
    return fits


def select_and_stack(
    key: PRNGKeyArray,
    ladders: Sequence[Sequence[Candidate]],
    splits: Sequence[Split],
    plan: LearnerConfig = DEFAULT_CONFIG,
    *,
    budget: float = float("inf"),
) -> SelectionResult:
    """The best candidate of each ladder, the best of these, and their stack where that gains.

    No fit is begun when `budget` seconds are over, but for the first candidate's. The stack is
    judged by weights learned on the other half of the held-out rows, and taken where it gains more
    than one standard error over the best model alone.
    """
    began = time.monotonic()
    until, board, entrants, untried = began + budget, [], [], []
    weight = np.concatenate([valid.to_arrays()[2] for _, valid in splits])
    best = None
    for i, ladder in enumerate(ladders):
        start = time.monotonic()
        if entrants and start >= until:
            untried.append(ladder[0].name)
            continue
        # Even shares of what is left: what one ladder does not take, the next ones may.
        share = start + max(until - start, 0) / (len(ladders) - i)
        told = best and best.scores
        own, lines = climb_ladder(key, ladder, splits, plan, until=share, end=until, before=told)
        if own is None:
            untried.append(ladder[0].name)
            continue
        entrants.append((i, own))
        # The ladder's own comparisons, and its winner against the best of those before.
        board += [line._replace(kept=False) for line in lines if line.name != own.name]
        seconds = next(line.seconds for line in lines if line.name == own.name)
        line = _line(own.name, own.scores, best and best.scores, weight, start)
        board.append(line._replace(seconds=seconds))
        if line.kept:
            best = own
    assert best is not None
    chosen = [(i, e) for i, e in entrants if e is best]
    weights = np.ones(1)
    halves = weight[::2].any() and weight[1::2].any()
    if len(entrants) > 1 and halves:
        start = time.monotonic()
        scores = np.stack([e.scores for _, e in entrants])
        line = _line("stack", _judged(scores, weight), best.scores, weight, start)
        board.append(line)
        if line.kept:
            some, weights = prune_stack(scores, weight)
            chosen = [e for e, used in zip(entrants, some) if used]
    return SelectionResult(chosen, weights, board, untried)


def stack_weights(
    scores: Float[np.ndarray, "k n"], weight: Float[np.ndarray, "n"], steps: int = 500
) -> Float[np.ndarray, "k"]:
    """The most likely weights of models in a mixture, by EM on their scores of held-out rows.

    >>> stack_weights(np.log([[0.9, 0.1], [0.1, 0.9]]), np.ones(2)).round(3).tolist()
    [0.5, 0.5]
    """
    scores, weight = np.maximum(scores[:, weight > 0].astype(np.float64), -1e30), weight[weight > 0]
    likelihood = np.exp(scores - scores.max(0))
    w = np.full(len(scores), 1 / len(scores))
    for _ in range(steps):
        joint = w[:, None] * likelihood
        w = (joint / joint.sum(0)) @ weight / weight.sum()
    return w


def prune_stack(
    scores: Float[np.ndarray, "k n"], weight: Float[np.ndarray, "n"]
) -> tuple[np.ndarray, Float[np.ndarray, "k"]]:
    """Which models a stack needs, and their weights.

    One of weight below LEAST is left out, unless the rest would lose LEAST nats a row without.
    """
    w = stack_weights(scores, weight)
    some = (w >= LEAST) | (w == w.max())
    few = stack_weights(scores[some], weight)
    rows = weight > 0
    lost = log_mixture(scores[:, rows], w) - log_mixture(scores[some][:, rows], few)
    if np.average(np.nan_to_num(lost, posinf=1e30), weights=weight[rows]) < LEAST:
        return some, few
    return np.ones(len(w), bool), w


def log_mixture(
    scores: Float[np.ndarray, "k n"], w: Float[np.ndarray, "k"]
) -> Float[np.ndarray, "n"]:
    """log Σ_k w_k exp(score_k) of each row."""
    with np.errstate(divide="ignore"):
        return np.logaddexp.reduce(scores + np.log(w)[:, None], axis=0)


def _judged(scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The scores of the stack, each half of the rows by weights learned on the other."""
    half = np.arange(scores.shape[1]) % 2 == 0
    out = np.empty(scores.shape[1])
    for own in (half, ~half):
        out[own] = log_mixture(scores[:, own], stack_weights(scores[:, ~own], weight[~own]))
    return out


def _line(name, score, before, weight, began) -> LeaderboardRow:
    mean = mean_over_rows(score, weight)
    gain = Answer(0.0) if before is None else mean_over_rows(_more(score, before), weight)
    # A single held-out row has no standard error: its word is taken.
    better = before is None or bool(gain.value > np.nan_to_num(gain.stderr))
    seconds = time.monotonic() - began
    return LeaderboardRow(name, float(mean), mean.stderr, float(gain), gain.stderr, better, seconds)


def _more(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a - b; a row that both hold impossible tells nothing between them."""
    return np.subtract(a, b, out=np.zeros_like(a), where=a != b)
