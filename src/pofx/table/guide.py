"""The exact model beside an inexact one: what proposes its missing entries."""

from typing import Any

import jax
import numpy as np

from pofx.core.discovery import named
from pofx.core.distribution import Learned, Tractable
from pofx.core.errors import PofxError
from pofx.core.inexact import Inexact
from pofx.core.rows import Rows
from pofx.core.rows import log_prob as scores_of
from pofx.core.rows import rows as make_rows
from pofx.learn.em import Fit
from pofx.learn.fit import USUAL
from pofx.learn.fit import fit as learn
from pofx.models.guided import Guided
from pofx.queries.missing import complete
from pofx.table.schema import Schema

SCORED = 2048
"""The most rows whose mean log-probability is told of a fit."""


def learned(key: jax.Array, schema: Schema, rows: Rows, name: str | None = None) -> Tractable:
    """The model of that name learned from the rows; without a name one that follows the columns.

    A mixture of Gaussians for real columns, as large as the rows carry; else a latent tree.
    """
    columns, n = schema.columns, rows.count
    options: dict[str, Any] = {}
    if name is None and (len(columns) == 1 or all(c.kind == "real" for c in columns)):
        name = "mixture"
        options = {
            "components": int(np.clip(n // (20 * len(columns)), 1, 16)),
            "part": "gaussian" if all(c.kind == "real" for c in columns) else "independent",
        }
    elif name is None:
        name, options = "latent_tree", {"states": int(np.clip(n // 50, 2, 16))}
    cls = named("pofx.models", Learned, "guide", name)
    if not issubclass(cls, Tractable):
        raise PofxError(f"guide: wanted a model with exact conditionals, and {name!r} has none")

    def start(key: jax.Array, rows: Rows) -> Learned:
        return cls.start(key, rows, columns, **options)

    return learn(key, start, rows, USUAL._replace(steps=200, tolerance=1e-4)).model


def filled(key: jax.Array, guide: Tractable, rows: Rows) -> Rows:
    """The rows with what is missing drawn from the guide: what a model learns from that cannot
    leave entries out (an imputation, whose uncertainty its likelihood does not know)."""
    _, observed, weight = rows.flat()
    if observed.all():
        return rows
    return make_rows(complete(key, guide, rows), weight=weight)


def guided(key: jax.Array, rows: Rows, guide: Tractable, fit: Fit) -> Fit:
    """The learned model with its guide, and its mean log-probability of rows that it learned."""
    assert isinstance(fit.model, Inexact)
    model = Guided(fit.model, guide, jax.random.key_data(key))
    x, observed, weight = rows.flat()
    few = make_rows(x[:SCORED], observed[:SCORED], weight[:SCORED])
    likelihood = float(np.average(scores_of(model, few), weights=weight[:SCORED]))
    return fit._replace(model=model, history=[*fit.history, likelihood])
