"""The exact model beside an inexact one: what proposes its missing entries."""

import warnings
from typing import Any

import jax
import numpy as np

from pofx.core.abstract import AbstractLearnable, AbstractTractable
from pofx.core.abstract_approximate import AbstractApproximate
from pofx.core.errors import PofxError, PofxWarning, recording_warnings, unknown_name_error
from pofx.core.registry import discover
from pofx.core.rows import Rows, make_rows
from pofx.core.rows import log_prob as scores_of
from pofx.learn.em import FitResult
from pofx.learn.learner import DEFAULT_CONFIG, LearnerConfig, Start
from pofx.learn.learner import fit as learn
from pofx.models.importance_sampled import ImportanceSampled
from pofx.queries.imputation import draw_missing
from pofx.table.schema import Schema

SCORED, WEIGHED, FEWEST = 2048, 2**20, 32
"""Rows, spread over the table, whose mean log-probability is told of a fit: as many as weighed
draws of so many entries allow, which of some models cost a pass an entry; but not fewer."""


def learned(
    key: jax.Array, schema: Schema, rows: Rows, name: str | None = None
) -> AbstractTractable:
    """The model of that name learned from the rows; without a name one that follows the columns.

    A mixture of Gaussians for real columns, as large as the rows carry; else a latent tree.
    """
    columns, n = schema.columns, rows.count
    options: dict[str, Any] = {}
    real = all(c.kind == "real" and not c.spikes for c in columns)
    if name is None and (len(columns) == 1 or real):
        name = "mixture"
        options = {
            "components": int(np.clip(n // (20 * len(columns)), 1, 16)),
            "part": "gaussian" if real else "independent",
        }
    elif name is None:
        name, options = "latent_tree", {"states": int(np.clip(n // 50, 2, 16))}
    cls = _exact(schema, name)

    def start(key: jax.Array, rows: Rows) -> AbstractLearnable:
        return cls.from_data(key, rows, columns, **options)

    # It only proposes: how far it is to be trusted is told by the weights, not by its own learning.
    with recording_warnings(), warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)
        return learn(key, start, rows, DEFAULT_CONFIG._replace(steps=200, tolerance=1e-4)).model


def _exact(schema: Schema, name: str) -> type[AbstractLearnable]:
    """The exact model of that name, if it carries all columns."""
    models = discover("pofx.models", AbstractLearnable)
    exact: dict[str, Any] = {
        n: cls for n, cls in models.items() if issubclass(cls, AbstractTractable)
    }
    if not isinstance(name, str) or name not in exact:
        if name in models:
            why = f"expected a model with exact conditionals, and {name!r} has none"
            raise PofxError(f"proposal: {why}; there are: {', '.join(exact)}")
        raise unknown_name_error("proposal", name, exact)
    cls: type[AbstractLearnable] = exact[name]
    for variable in schema.variables:
        carried = cls.supported_kinds(variable.name)
        if variable.column.kind not in carried:
            raise PofxError(
                f"proposal: {name!r} carries {', '.join(sorted(carried))} columns, and "
                f"{variable.name!r} is {variable.column.kind}; leave it out, or try 'latent_tree'"
            )
    return cls


def filled(key: jax.Array, proposal: AbstractTractable, rows: Rows) -> Rows:
    """The rows with what is missing drawn from the proposal.

    What a model learns from that cannot leave entries out: an imputation, whose uncertainty its
    likelihood does not know.
    """
    _, observed, weight = rows.to_arrays()
    if observed.all():
        return rows
    return make_rows(draw_missing(key, proposal, rows), weight=weight)


def fit(
    key: jax.Array,
    holes: bool,
    start: Start,
    schema: Schema,
    parts: tuple[Rows, Rows, Rows | None],
    plan: LearnerConfig,
    name: str | None,
) -> FitResult:
    """An inexact model learned beside its proposal, which `name` names, and wrapped with it.

    `parts` are all rows, those learned from, and those held out; `holes` says whether the model
    learns from rows with missing entries. The proposal of one that proposes by itself is not asked,
    and so of independent columns. The last of the history is the mean log-probability of some of
    the rows, of the model with its proposal.
    """
    whole, train, valid = parts
    if name is not None:
        _exact(schema, name)
    own, proposal = jax.random.fold_in(key, 1), None
    if not holes:
        fill, proposal = jax.random.fold_in(key, 2), learned(own, schema, whole, name)
        one, other = jax.random.split(fill)
        train, valid = filled(one, proposal, train), valid and filled(other, proposal, valid)
    one = learn(key, start, train, plan, valid)
    assert isinstance(one.model, AbstractApproximate)
    if proposal is None:
        usual = None if one.model.needs_proposal else "independent"
        proposal = learned(own, schema, whole, name or usual)
    seed = jax.random.key_data(jax.random.fold_in(key, 3))
    model = ImportanceSampled(model=one.model, proposal=proposal, seed=seed)
    most = int(np.clip(WEIGHED // (model.draws * model.size), FEWEST, SCORED))
    heavy = np.flatnonzero(whole.to_arrays()[2])
    some = heavy[np.linspace(0, len(heavy) - 1, min(most, len(heavy))).astype(int)]
    x, observed, weight = (part[some] for part in whole.to_arrays())
    scores = scores_of(model, make_rows(x, observed, weight))
    told = float(np.average(scores, weights=weight))
    return one._replace(model=model, history=[*one.history, told])
