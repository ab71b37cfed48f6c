"""Which models are tried where none is named."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pofx.core.abstract import AbstractLearnable
from pofx.core.column import Column
from pofx.core.registry import class_by_name
from pofx.core.rows import Rows, log_prob, make_rows, with_common_shape
from pofx.learn.em import FitResult
from pofx.learn.learner import LearnerConfig, by_batches, refined
from pofx.learn.learner import fit as learn
from pofx.learn.model_selection import Candidate, FittedCandidate, LeaderboardRow, select_and_stack
from pofx.models.correlated import is_number
from pofx.models.stack import Stack
from pofx.table.schema import Schema

COMPONENTS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
DOUBLING = tuple(k for k in COMPONENTS if k.bit_count() == 1)
STATES = (8, 16, 32, 64, 128)
ENOUGH, SEVERAL, MANY = 100, 1000, 5000
"""Rows from which a network is tried, mixtures double in size, a network is of usual size."""

LEAST = 1.0
"""Seconds that learning on with all rows may take at least."""
SAMPLE_ROWS = 5000
"""Rows on which models that relate columns are compared if the budget is over before any was."""


class Choice(NamedTuple):
    """A fit, the model and options it came of, and how these were chosen."""

    name: str
    options: Mapping[str, Any]
    fit: FitResult
    board: Sequence[LeaderboardRow] = ()
    untried: Sequence[str] = ()
    parts: Sequence[Mapping[str, Any]] = ()


class Entry(NamedTuple):
    """A model by name, with its options."""

    model: str
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """How the leaderboard calls it."""
        told = {k: v for k, v in self.options.items() if k not in ("restarts",)}
        return self.model + (
            "(" + ", ".join(f"{k}={v}" for k, v in told.items()) + ")" if told else ""
        )


def choose(
    key: jax.Array,
    schema: Schema,
    whole: Rows,
    splits: list[tuple[Rows, Rows]],
    plan: LearnerConfig,
    budget: float,
    options: Mapping[str, Any],
) -> Choice:
    """The model, or stack of models, that held-out rows prefer, learned on from all rows.

    What learned by batches or gradients stays as it is, for held-out rows stopped it.
    """
    n = splits[0][0].count if splits else 1
    ladders = [_mixtures((1, *COMPONENTS), n, 5, options)] if options else entries(schema, n)
    if not splits:
        only = ladders[0][0]
        learned = refined(learn(key, _start(only, schema), whole, plan), whole)
        return Choice(only.model, only.options, learned)
    whole, *trains = with_common_shape([whole, *(train for train, _ in splits)])
    splits = list(zip(trains, with_common_shape([valid for _, valid in splits])))
    candidates = [[Candidate(e.name, _start(e, schema)) for e in ladder] for ladder in ladders]
    verdict = select_and_stack(key, candidates, splits, plan, budget=budget)
    if len(schema.columns) > 1 and {line.name for line in verdict.board} == {"independent"}:
        ladders = _relating(n)
        sample = [(_sample(train), _sample(valid)) for train, valid in splits[:1]]
        candidates = [
            [Candidate(f"{e.name} on {sample[0][0].count} rows", _start(e, schema)) for e in ladder]
            for ladder in ladders
        ]
        sampled = select_and_stack(key, candidates, sample, plan, budget=budget / 2)
        board = [*verdict.board, *sampled.board]
        verdict = sampled._replace(board=board, untried=verdict.untried)
    parts = [
        (entry, _refitted(key, own, entry, schema, whole, plan, budget))
        for i, own in verdict.chosen
        for entry in [ladders[i][own.number]]
    ]
    if len(parts) == 1:
        entry, one = parts[0]
        return Choice(entry.model, entry.options, one, verdict.board, verdict.untried)
    joint = stacked(whole, verdict.weights, [one for _, one in parts])
    told = [
        {"model": e.model, "options": dict(e.options), "weight": float(w)}
        for (e, _), w in zip(parts, verdict.weights)
    ]
    return Choice("stack", {}, joint, verdict.board, verdict.untried, told)


def _relating(n: int) -> list[list[Entry]]:
    """Ladders that begin with a model that relates columns, because the first is always tried."""
    mixtures = _mixtures(tuple(k for k in DOUBLING if 4 <= k <= 16), n, 5, {})
    ladders = [mixtures, [Entry("chow_liu_tree", {})], [Entry("independent", {})]]
    return [ladder for ladder in ladders if ladder]


def _sample(part: Rows) -> Rows:
    """At most SAMPLE_ROWS of the rows, drawn without replacement, the same each time."""
    x, observed, weight = part.to_arrays()
    place = np.random.default_rng(0).permutation(len(x))[:SAMPLE_ROWS]
    return make_rows(x[place], observed[place], weight[place])


def entries(schema: Schema, n: int) -> list[list[Entry]]:
    """Ladders of models, each from the smallest up, that n rows of these columns may carry."""

    columns = schema.columns
    sizes = COMPONENTS if n < SEVERAL else DOUBLING
    numbers = sum(map(is_number, columns))
    out = [[Entry("independent", {})]]
    if numbers < 2 or numbers == len(columns):
        out.append(_mixtures(sizes, n, 5, {}))
    if numbers > 1 and all(c.kind == "real" and not c.spikes for c in columns):
        more = _mixtures(COMPONENTS, n, 5 * numbers, {"part": "gaussian"})
        out.append([Entry("gaussian", {}), *more])
    elif numbers > 1:
        # Of few rows the components share a covariance.
        covariance, each = ("tied", 5) if n < SEVERAL else ("full", 5 * numbers)
        more = _mixtures(DOUBLING, n, each, {"part": "correlated", "covariance": covariance})
        out.append([Entry("correlated", {}), *more])
        if n < SEVERAL:
            out.append(_each_level(columns, n, 5 * numbers))
    if len(columns) > 1:
        out.append([Entry("chow_liu_tree", {})])
    if len(columns) > 1:
        out.append([Entry("latent_tree", {"states": k}) for k in STATES if 10 * k <= n])
    if len(columns) > 1 and n >= ENOUGH:
        tree = all(c.discrete and c.levels <= 16 for c in columns)
        part = "chow_liu_tree" if tree else "independent"
        size = {} if n >= MANY else {"points": 256, "width": 128}
        out.append([Entry("continuous_mixture", {"part": part, **size})])
    return [own for own in out if own]


def _mixtures(sizes: tuple[int, ...], n: int, each: int, options: Mapping[str, Any]) -> list[Entry]:
    """Mixtures of growing size, of `each` rows a component at least."""
    some = [k for k in sizes if k == 1 or each * k <= n]
    return [Entry("mixture", {"components": k, **options}) for k in some]


def _each_level(columns: Sequence[Column], n: int, each: int) -> list[Entry]:
    """The numbers jointly normal given a column, as a class: of `each` rows a level at least."""
    names = [c.variable for c in columns]
    alone = [c for c in columns if c.levels > 1 and names.count(c.variable) == 1]
    of = sorted((c for c in alone if each * c.levels <= n), key=lambda c: c.levels)
    return [Entry("class_conditional", {"on": c.variable, "part": "correlated"}) for c in of]


def stacked(whole: Rows, weights: np.ndarray, fits: list[FitResult]) -> FitResult:
    """Fitted models as one mixture, and its likelihood of all rows."""
    models = tuple(one.model for one in fits)
    stack = Stack(jnp.log(jnp.asarray(weights)), models)
    likelihood = float(np.average(log_prob(stack, whole), weights=whole.to_arrays()[2]))
    converged = all(one.converged for one in fits)
    return FitResult(stack, [likelihood], converged, sum(one.seconds for one in fits))


def _refitted(
    key: jax.Array,
    own: FittedCandidate,
    entry: Entry,
    schema: Schema,
    whole: Rows,
    plan: LearnerConfig,
    budget: float,
) -> FitResult:
    """The model learned from all rows: from where the first trial ended, or, of few rows, anew.

    A start anew looks for structure, as the skeleton of a tree, in all rows; of the two, which are
    of one size, the likelier is taken. What held-out rows stopped stays as it is.
    """
    first, cls = own.fits[0], class_by_name("pofx.models", AbstractLearnable, "model", entry.model)
    if by_batches(cls, whole.count):
        return first if len(own.fits) == 1 else stacked(whole, np.ones(len(own.fits)), own.fits)
    # It goes on near its end: less is enough.
    again = plan._replace(seconds=max(min(first.seconds, budget / 10), LEAST))
    on = learn(key, lambda key, rows: first.model, whole, again._replace(restarts=1))
    if whole.count >= SEVERAL:
        return refined(on, whole)
    anew = learn(key, _start(entry, schema), whole, again)
    return max(on, anew, key=lambda fit: fit.log_likelihood)


def _start(entry: Entry, schema: Schema):
    cls = class_by_name("pofx.models", AbstractLearnable, "model", entry.model)

    def start(key: jax.Array, rows: Rows) -> AbstractLearnable:
        return cls.from_data(key, rows, schema.columns, **entry.options)

    return start
