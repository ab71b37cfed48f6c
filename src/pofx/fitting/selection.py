"""Compares candidate models on held-out rows, and learns the best of them from all rows."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pofx.core.rows import Rows, log_prob, make_rows, with_common_shape
from pofx.fitting.candidates import (
    COMPONENT_COUNTS,
    MAX_FULL_SEARCH_ROWS,
    ModelSpec,
    candidate_ladders,
    mixture_ladder,
    relating_ladders,
)
from pofx.learn.em import FitResult
from pofx.learn.learner import LearnerConfig, refined, stops_on_validation
from pofx.learn.learner import fit as learn
from pofx.learn.model_selection import (
    Candidate,
    FittedCandidate,
    LeaderboardRow,
    SelectionResult,
    select_and_stack,
)
from pofx.models.stack import Stack
from pofx.table.schema import Schema

MIN_REFIT_SECONDS = 1.0
"""Seconds that learning from all rows may take in any case."""
MAX_SAMPLE_ROWS = 5000
"""Rows on which models that relate columns are compared if the budget ended before any was."""

Ladders = list[list[ModelSpec]]
Splits = list[tuple[Rows, Rows]]


class SelectedModel(NamedTuple):
    """A fitted model, its name and options, and how they were selected.

    Args:
        name: the model, "stack" for several.
        options: those of the model.
        fit: the fitted model and how it was learned.
        board: what was compared, in order.
        untried: names of models that the budget left no time for.
        parts: model, options and weight of each part of a stack.
    """

    name: str
    options: Mapping[str, Any]
    fit: FitResult
    board: Sequence[LeaderboardRow] = ()
    untried: Sequence[str] = ()
    parts: Sequence[Mapping[str, Any]] = ()


def select_model(
    key: jax.Array,
    schema: Schema,
    rows: Rows,
    splits: Splits,
    config: LearnerConfig,
    budget: float,
    options: Mapping[str, Any],
) -> SelectedModel:
    """The model, or stack of models, that held-out rows prefer, then learned from all rows.

    A model that stops by held-out rows keeps the fit of the comparison.

    Args:
        key: of random numbers.
        schema: of the columns.
        rows: all of them.
        splits: pairs of rows to learn from and rows held out; without any, nothing is compared.
        config: how each model is learned.
        budget: seconds for the comparison.
        options: those of a mixture; then only mixtures with them are compared.
    """
    n = splits[0][0].count if splits else 1
    counts = (1, *COMPONENT_COUNTS)
    ladders = [mixture_ladder(counts, n, options)] if options else candidate_ladders(schema, n)
    if not splits:
        spec = ladders[0][0]
        result = refined(learn(key, spec.start(schema), rows, config), rows)
        return SelectedModel(spec.model, spec.options, result)
    rows, *trains = with_common_shape([rows, *(train for train, _ in splits)])
    splits = list(zip(trains, with_common_shape([valid for _, valid in splits])))
    ladders, selection = _compare(key, schema, ladders, splits, config, budget)
    parts = [
        (spec, _refit_on_all_rows(key, candidate, spec, schema, rows, config, budget))
        for i, candidate in selection.members
        for spec in [ladders[i][candidate.number]]
    ]
    if len(parts) == 1:
        spec, result = parts[0]
        return SelectedModel(spec.model, spec.options, result, selection.board, selection.untried)
    stack = stack_fits(rows, selection.weights, [result for _, result in parts])
    descriptions = [
        {"model": spec.model, "options": dict(spec.options), "weight": float(weight)}
        for (spec, _), weight in zip(parts, selection.weights)
    ]
    return SelectedModel("stack", {}, stack, selection.board, selection.untried, descriptions)


def _compare(
    key: jax.Array,
    schema: Schema,
    ladders: Ladders,
    splits: Splits,
    config: LearnerConfig,
    budget: float,
) -> tuple[Ladders, SelectionResult]:
    """The ladders compared last, and what held-out rows prefer of them.

    If the budget ended before any model that relates columns, such models are compared on a sample.
    """
    candidates = [[Candidate(s.name, s.start(schema)) for s in ladder] for ladder in ladders]
    selection = select_and_stack(key, candidates, splits, config, budget=budget)
    if len(schema.columns) < 2 or {row.name for row in selection.board} != {"independent"}:
        return ladders, selection
    ladders = relating_ladders(splits[0][0].count)
    sample = [(_sample_rows(train), _sample_rows(valid)) for train, valid in splits[:1]]
    n = sample[0][0].count
    candidates = [
        [Candidate(f"{s.name} on {n} rows", s.start(schema)) for s in ladder] for ladder in ladders
    ]
    sampled = select_and_stack(key, candidates, sample, config, budget=budget / 2)
    board = [*selection.board, *sampled.board]
    return ladders, sampled._replace(board=board, untried=selection.untried)


def _sample_rows(rows: Rows) -> Rows:
    """At most MAX_SAMPLE_ROWS of the rows, drawn without replacement, the same each time."""
    x, observed, weight = rows.to_arrays()
    index = np.random.default_rng(0).permutation(len(x))[:MAX_SAMPLE_ROWS]
    return make_rows(x[index], observed[index], weight[index])


def stack_fits(rows: Rows, weights: np.ndarray, fits: list[FitResult]) -> FitResult:
    """Fitted models as one mixture with these weights, and its mean log-likelihood of the rows."""
    models = tuple(fit.model for fit in fits)
    stack = Stack(jnp.log(jnp.asarray(weights)), models)
    log_likelihood = float(np.average(log_prob(stack, rows), weights=rows.to_arrays()[2]))
    converged = all(fit.converged for fit in fits)
    return FitResult(stack, [log_likelihood], converged, sum(fit.seconds for fit in fits))


def _refit_on_all_rows(
    key: jax.Array,
    candidate: FittedCandidate,
    spec: ModelSpec,
    schema: Schema,
    rows: Rows,
    config: LearnerConfig,
    budget: float,
) -> FitResult:
    """The model learned from all rows, from where the fit to the first split ended.

    If there are few rows it is also learned from a new start, which looks for structure, such as
    the skeleton of a tree, in all rows; the likelier of the two, which have one size, is returned.
    A model that held-out rows stopped stays as it is.
    """
    first = candidate.fits[0]
    if stops_on_validation(spec.cls, rows.count):
        fits = candidate.fits
        return first if len(fits) == 1 else stack_fits(rows, np.ones(len(fits)), fits)
    # Learning continues near its end, so less time is enough.
    seconds = max(min(first.seconds, budget / 10), MIN_REFIT_SECONDS)
    config = config._replace(seconds=seconds)
    continued = learn(key, lambda key, rows: first.model, rows, config._replace(restarts=1))
    if rows.count >= MAX_FULL_SEARCH_ROWS:
        return refined(continued, rows)
    restarted = learn(key, spec.start(schema), rows, config)
    return max(continued, restarted, key=lambda fit: fit.log_likelihood)
