"""Model selection on held-out rows: the best model of each ladder, and a stack of them."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from pofx.core.answer import Answer
from pofx.core.errors import PofxWarning, recording_warnings
from pofx.core.row_means import mean_over_rows
from pofx.core.rows import Rows
from pofx.core.rows import log_prob as row_log_probs
from pofx.core.work_time import work_time
from pofx.learn.em import FitResult
from pofx.learn.learner import DEFAULT_CONFIG, LearnerConfig, Start, fit

MAX_TRIAL_STEPS = 200
TRIAL_TOLERANCE = 1e-4
"""Steps of EM, and nats per row, at which a trial ends; a further gain would decide nothing."""
MIN_STACK_WEIGHT = 0.02
"""Smallest weight in a stack, and nats per row that all smaller weights together may be worth."""


class Candidate(NamedTuple):
    """A model under comparison: its name, and the function that makes its start from data."""

    name: str
    from_data: Start


class LeaderboardRow(NamedTuple):
    """A line of the leaderboard: held-out log-likelihood in nats per row.

    `gain` is the mean paired difference from the best model before it, with its standard error.
    `kept` says whether this model then became the best. `seconds` are those of work, without
    compilation.
    """

    name: str
    log_likelihood: float
    stderr: float
    gain: float
    gain_stderr: float
    kept: bool
    seconds: float


class FittedCandidate(NamedTuple):
    """A candidate: its position in its ladder, its fit to each split, its held-out scores."""

    name: str
    number: int
    fits: list[FitResult]
    scores: Float[np.ndarray, "n"]


class SelectionResult(NamedTuple):
    """The selected models with the numbers of their ladders, their weights, and the leaderboard.

    `untried` names the first candidate of each ladder that ran out of time.
    """

    members: list[tuple[int, FittedCandidate]]
    weights: Float[np.ndarray, "k"]
    board: list[LeaderboardRow]
    untried: list[str]


Split = tuple[Rows, Rows]
"""Rows to learn from, and held-out rows."""


def climb_ladder(
    key: PRNGKeyArray,
    candidates: Sequence[Candidate],
    splits: Sequence[Split],
    config: LearnerConfig = DEFAULT_CONFIG,
    *,
    patience: int = 2,
    until: float = float("inf"),
    end: float = float("inf"),
    before: Float[np.ndarray, "n"] | None = None,
) -> tuple[FittedCandidate | None, list[LeaderboardRow]]:
    """Fit candidates of growing size, and return the best on held-out rows and the leaderboard.

    A larger candidate becomes the best only if its mean paired gain exceeds one standard error, so
    that noise alone does not add parameters. The search ends after `patience` candidates without
    such a gain.

    Args:
        key: seed of every fit.
        candidates: models, the smallest first.
        splits: pairs of training and held-out rows; the held-out rows of all splits count together.
        config: settings of each fit.
        patience: number of larger candidates that may fail in a row.
        until: time, on the clock of `work_time`, from which no further candidate is tried.
        end: time from which no further split is fitted. A candidate without a fit to each split is
            dropped, except the first one if `before` is None.
        before: held-out scores of the best model so far, to which the first gain is relative.
    """
    best: FittedCandidate | None = None
    board: list[LeaderboardRow] = []
    weight = np.concatenate([valid.to_arrays()[2] for _, valid in splits])
    for i, candidate in enumerate(candidates):
        start_time = work_time()
        if best is not None and (start_time >= until or i - best.number > patience):
            break
        split_end = end if best or before is not None else float("inf")
        seconds = max(min(config.seconds, (until - start_time) / len(splits)), 1e-3)
        limited = config._replace(seconds=seconds)
        fits = _fit_splits(key, candidate.from_data, splits, limited, split_end)
        if len(fits) < len(splits):
            break
        scores = np.concatenate([row_log_probs(t.model, v) for t, (_, v) in zip(fits, splits)])
        best_scores = best.scores if best else before
        row = _leaderboard_row(candidate.name, scores, best_scores, weight, start_time)
        board.append(row)
        if row.kept or best is None:
            best = FittedCandidate(candidate.name, i, fits, scores)
    return best, board


def _fit_splits(
    key, start: Start, splits: Sequence[Split], config: LearnerConfig, end: float
) -> list[FitResult]:
    """Fit the splits that can begin before `end`; each gets an even share of the time left."""
    fits = []
    config = config._replace(
        steps=min(config.steps, MAX_TRIAL_STEPS), tolerance=max(config.tolerance, TRIAL_TOLERANCE)
    )
    with recording_warnings(), warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # a trial need not converge
        for i, (train, valid) in enumerate(splits):
            time_left = end - work_time()
            if time_left <= 0:
                break
            limited = config._replace(seconds=min(config.seconds, time_left / (len(splits) - i)))
            fits.append(fit(key, start, train, limited, valid))
    return fits


def select_and_stack(
    key: PRNGKeyArray,
    ladders: Sequence[Sequence[Candidate]],
    splits: Sequence[Split],
    config: LearnerConfig = DEFAULT_CONFIG,
    *,
    budget: float = float("inf"),
) -> SelectionResult:
    """Climb each ladder, and select the best model or, if it is better, a stack.

    To score the stack, each half of the held-out rows gets weights learned on the other half. The
    stack is selected if it gains more than one standard error over the best model.

    Args:
        key: seed of every fit.
        ladders: candidates, each ladder from its smallest up.
        splits: pairs of training and held-out rows.
        config: settings of each fit.
        budget: seconds, without compilation, after which no fit begins, except those of the first
            candidate.
    """
    start_time = work_time()
    until = start_time + budget
    board: list[LeaderboardRow] = []
    winners: list[tuple[int, FittedCandidate]] = []
    untried: list[str] = []
    weight = np.concatenate([valid.to_arrays()[2] for _, valid in splits])
    best: FittedCandidate | None = None
    for i, ladder in enumerate(ladders):
        ladder_start = work_time()
        if winners and ladder_start >= until:
            untried.append(ladder[0].name)
            continue
        # Even shares of the time left, so that later ladders get what this one leaves.
        ladder_end = ladder_start + max(until - ladder_start, 0) / (len(ladders) - i)
        best_scores = best.scores if best else None
        winner, ladder_board = climb_ladder(
            key, ladder, splits, config, until=ladder_end, end=until, before=best_scores
        )
        if winner is None:
            untried.append(ladder[0].name)
            continue
        winners.append((i, winner))
        # The comparisons within the ladder, then its winner against the best of earlier ladders.
        board += [row._replace(kept=False) for row in ladder_board if row.name != winner.name]
        seconds = next(row.seconds for row in ladder_board if row.name == winner.name)
        row = _leaderboard_row(winner.name, winner.scores, best_scores, weight, ladder_start)
        board.append(row._replace(seconds=seconds))
        if row.kept:
            best = winner
    assert best is not None
    members = [(i, winner) for i, winner in winners if winner is best]
    weights = np.ones(1)
    halves_have_weight = weight[::2].any() and weight[1::2].any()
    if len(winners) > 1 and halves_have_weight:
        stack_start = work_time()
        scores = np.stack([winner.scores for _, winner in winners])
        stack_scores = _cross_fitted_stack_scores(scores, weight)
        row = _leaderboard_row("stack", stack_scores, best.scores, weight, stack_start)
        board.append(row)
        if row.kept:
            mask, weights = prune_stack(scores, weight)
            members = [winner for winner, is_member in zip(winners, mask) if is_member]
    return SelectionResult(members, weights, board, untried)


def stack_weights(
    scores: Float[np.ndarray, "k n"], weight: Float[np.ndarray, "n"], steps: int = 500
) -> Float[np.ndarray, "k"]:
    """Maximum likelihood weights of a mixture of models, by EM on held-out scores.

    Args:
        scores: log-probability of each row under each model, in nats.
        weight: weight of each row.
        steps: number of EM steps.

    >>> stack_weights(np.log([[0.9, 0.1], [0.1, 0.9]]), np.ones(2)).round(3).tolist()
    [0.5, 0.5]
    """
    scores = np.maximum(scores[:, weight > 0].astype(np.float64), -1e30)
    weight = weight[weight > 0]
    likelihood = np.exp(scores - scores.max(0))
    w = np.full(len(scores), 1 / len(scores))
    for _ in range(steps):
        joint = w[:, None] * likelihood
        w = (joint / joint.sum(0)) @ weight / weight.sum()
    return w


def prune_stack(
    scores: Float[np.ndarray, "k n"], weight: Float[np.ndarray, "n"]
) -> tuple[np.ndarray, Float[np.ndarray, "k"]]:
    """A mask of the models that a stack needs, and the weights of these models.

    Models of weight below MIN_STACK_WEIGHT are dropped, unless the stack loses MIN_STACK_WEIGHT
    nats per row without them.
    """
    w = stack_weights(scores, weight)
    mask = (w >= MIN_STACK_WEIGHT) | (w == w.max())
    pruned = stack_weights(scores[mask], weight)
    rows = weight > 0
    loss = log_mixture(scores[:, rows], w) - log_mixture(scores[mask][:, rows], pruned)
    if np.average(np.nan_to_num(loss, posinf=1e30), weights=weight[rows]) < MIN_STACK_WEIGHT:
        return mask, pruned
    return np.ones(len(w), bool), w


def log_mixture(
    scores: Float[np.ndarray, "k n"], w: Float[np.ndarray, "k"]
) -> Float[np.ndarray, "n"]:
    """log Σ_k w_k exp(score_k) for each row."""
    with np.errstate(divide="ignore"):
        return np.logaddexp.reduce(scores + np.log(w)[:, None], axis=0)


def _cross_fitted_stack_scores(scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Scores of the stack: each half of the rows uses weights learned on the other half."""
    first_half = np.arange(scores.shape[1]) % 2 == 0
    out = np.empty(scores.shape[1])
    for half in (first_half, ~first_half):
        w = stack_weights(scores[:, ~half], weight[~half])
        out[half] = log_mixture(scores[:, half], w)
    return out


def _leaderboard_row(name, scores, best_scores, weight, start_time) -> LeaderboardRow:
    """The line of a candidate, compared with the scores of the best model so far, if any."""
    mean = mean_over_rows(scores, weight)
    gain = Answer(0.0)
    if best_scores is not None:
        gain = mean_over_rows(_difference(scores, best_scores), weight)
    # The gain on a single held-out row has no standard error, so it counts as it is.
    is_best = best_scores is None or bool(gain.value > np.nan_to_num(gain.stderr))
    seconds = work_time() - start_time
    return LeaderboardRow(
        name, float(mean), mean.stderr, float(gain), gain.stderr, is_best, seconds
    )


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a - b, and 0 for a row that is impossible under both models."""
    return np.subtract(a, b, out=np.zeros_like(a), where=a != b)
