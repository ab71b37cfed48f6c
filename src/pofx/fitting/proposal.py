"""Proposals: the exact model beside an approximate one, from which missing cells are drawn."""

import warnings
from typing import Any

import jax
import numpy as np

from pofx.core import host_keys
from pofx.core.abstract import AbstractLearnable, AbstractTractable
from pofx.core.abstract_approximate import AbstractApproximate
from pofx.core.errors import PofxError, PofxWarning, recording_warnings, unknown_name_error
from pofx.core.registry import discover
from pofx.core.rows import Rows, make_rows
from pofx.core.rows import log_prob as scores_of
from pofx.fitting.candidates import model_start
from pofx.learn.em import FitProgress, FitResult, ProgressCallback
from pofx.learn.learner import DEFAULT_CONFIG, LearnerConfig, Start
from pofx.learn.learner import fit as learn
from pofx.models.importance_sampled import ImportanceSampled
from pofx.queries.imputation import draw_missing
from pofx.table.schema import Schema

MAX_SCORED_ROWS = 2048
"""Rows, spread over the table, whose mean log-probability ends the history of a fit."""
MAX_SCORED_NUMBERS = 2**18
"""Entries of weighted draws for these rows: some models need one pass for each entry."""
MIN_SCORED_ROWS = 32
"""Rows that are scored even if their draws have more entries."""
MAX_TREE_COLUMNS = 100
"""Columns beyond which a latent tree takes minutes to learn."""
EM_STEPS, EM_TOLERANCE = 30, 1e-3
"""A proposal need not converge. On digits of 8 x 8 pixels the effective number of draws is the same
after 200 steps, and about the same for a mixture of 64 components as for a tree of 16 states."""


def fit_proposal(
    key: jax.Array,
    schema: Schema,
    rows: Rows,
    name: str | None = None,
    report: ProgressCallback | None = None,
) -> AbstractTractable:
    """The exact model of that name, learned from the rows.

    Without a name it is a mixture of Gaussians for real columns, of up to 16 components; else a
    latent tree, or for many columns a mixture of independent columns, of up to 64 components.
    """
    columns = schema.columns
    n = rows.count
    options: dict[str, Any] = {}
    real = all(c.kind == "real" and not c.spikes for c in columns)
    if name is None and (len(columns) == 1 or real):
        name = "mixture"
        options = {
            "components": int(np.clip(n // (20 * len(columns)), 1, 16)),
            "part": "gaussian" if real else "independent",
        }
    elif name is None and len(columns) > MAX_TREE_COLUMNS:
        name = "mixture"
        options = {"components": int(np.clip(n // 16, 1, 64)), "part": "independent"}
    elif name is None:
        name = "latent_tree"
        options = {"states": int(np.clip(n // 50, 2, 16))}
    start = model_start(_tractable_class(schema, name), schema, options)
    config = DEFAULT_CONFIG._replace(
        steps=EM_STEPS, tolerance=EM_TOLERANCE, report=report and _in_phase("proposal", report)
    )
    # Its warnings do not matter, because importance weights show how far a proposal can be trusted.
    with recording_warnings(), warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)
        return learn(key, start, rows, config).model


def impute_from(key: jax.Array, proposal: AbstractTractable, rows: Rows) -> Rows:
    """The rows with their missing entries drawn from the proposal.

    Models that cannot learn from rows with missing entries learn from these. Their likelihood does
    not include the uncertainty of this imputation.
    """
    _, observed, weight = rows.to_arrays()
    if observed.all():
        return rows
    return make_rows(draw_missing(key, proposal, rows), weight=weight)


def fit_with_proposal(
    key: jax.Array,
    learns_from_missing: bool,
    start: Start,
    schema: Schema,
    parts: tuple[Rows, Rows, Rows | None],
    config: LearnerConfig,
    name: str | None,
) -> FitResult:
    """An approximate model and its proposal, learned from the same rows.

    If the model needs no proposal and none is named, the proposal has independent columns.

    Args:
        key: of random numbers.
        learns_from_missing: whether the model learns from rows with missing entries.
        start: the model before it is learned.
        schema: of the columns.
        parts: all rows, those to learn from, and those held out (or None).
        config: how the model is learned.
        name: the model that proposes; None for the default.

    Returns the fit of the model wrapped with its proposal; the last value of its history is the
    mean log-probability of rows spread over the table under the wrapped model.
    """
    rows, train, valid = parts
    if name is not None:
        _tractable_class(schema, name)
    proposal_key = host_keys.fold_in(key, 1)
    proposal = None
    if not learns_from_missing:
        train_key, valid_key = host_keys.split(host_keys.fold_in(key, 2))
        proposal = fit_proposal(proposal_key, schema, rows, name, config.report)
        train = impute_from(train_key, proposal, train)
        valid = valid and impute_from(valid_key, proposal, valid)
    result = learn(key, start, train, config, valid)
    assert isinstance(result.model, AbstractApproximate)
    if proposal is None:
        default = None if result.model.needs_proposal else "independent"
        proposal = fit_proposal(proposal_key, schema, rows, name or default, config.report)
    seed = jax.random.key_data(host_keys.fold_in(key, 3))
    model = ImportanceSampled(model=result.model, proposal=proposal, seed=seed)
    if config.report:
        config.report(FitProgress(0, 1, np.nan, "log-likelihood of rows"))
    return result._replace(model=model, history=[*result.history, _mean_log_prob(model, rows)])


def _in_phase(phase: str, report: ProgressCallback) -> ProgressCallback:
    """The callback, told what is under way."""
    return lambda progress: report(progress._replace(phase=phase))


def _mean_log_prob(model: ImportanceSampled, rows: Rows) -> float:
    """The mean log-probability of at most MAX_SCORED_ROWS rows, spread over those of weight > 0."""
    x, observed, weight = rows.to_arrays()
    numbers_per_row = model.draws * model.size
    limit = int(np.clip(MAX_SCORED_NUMBERS // numbers_per_row, MIN_SCORED_ROWS, MAX_SCORED_ROWS))
    weighted = np.flatnonzero(weight)
    place = np.linspace(0, len(weighted) - 1, min(limit, len(weighted))).astype(int)
    index = weighted[place]
    scores = scores_of(model, make_rows(x[index], observed[index], weight[index]))
    return float(np.average(scores, weights=weight[index]))


def _tractable_class(schema: Schema, name: str) -> type[AbstractLearnable]:
    """The exact model of that name; PofxError unless it supports all columns."""
    models = discover("pofx.models", AbstractLearnable)
    exact: dict[str, Any] = {
        n: cls for n, cls in models.items() if issubclass(cls, AbstractTractable)
    }
    if not isinstance(name, str) or name not in exact:
        if name in models:
            reason = f"expected a model with exact conditionals, and {name!r} has none"
            raise PofxError(f"proposal: {reason}; there are: {', '.join(exact)}")
        raise unknown_name_error("proposal", name, exact)
    cls: type[AbstractLearnable] = exact[name]
    for variable in schema.variables:
        kinds = cls.supported_kinds(variable.name)
        if variable.column.kind not in kinds:
            raise PofxError(
                f"proposal: {name!r} supports {', '.join(sorted(kinds))} columns, and "
                f"{variable.name!r} is {variable.column.kind}; leave it out, or try 'latent_tree'"
            )
    return cls
