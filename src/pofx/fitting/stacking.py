"""`pofx.stack`: fitted distributions as one mixture."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from pofx.core.errors import PofxError
from pofx.core.float_width import float64, is_float64
from pofx.core.rows import log_prob, make_rows
from pofx.joint.joint import Joint
from pofx.learn.model_selection import prune_stack
from pofx.models.stack import Stack
from pofx.named.fit_record import to_json_types
from pofx.table.encoding import encode, log_scale


def stack(models: Sequence[Joint], data: Any) -> Joint:
    """The mixture of fitted distributions under which held-out data are most likely.

    p(x) = Σ_i w_i p_i(x), with w at its maximum likelihood on the rows of `data`

    Args:
        models: fitted distributions of one schema (fit one with `schema=` of another), without
            evidence.
        data: rows held out from their fits.

    Returns a distribution whose answers are exact if those of its parts are. A part of weight below
    0.02 is left out if the mixture is as likely without it. Raises PofxError for distributions of
    different schemas and for data without rows. Smyth and Wolpert, "Linearly combining density
    estimators via stacking" (1999).

    >>> import pofx
    >>> data = {"x": np.arange(20.0), "y": np.arange(20) % 2}
    >>> p = pofx.fit(data, "independent")
    >>> q = pofx.fit(data, "independent", prior=5.0, schema=p.schema)
    >>> stack([p, q], data)
    p(x, y)  Stack
    """
    if (
        not isinstance(models, Sequence)
        or not models
        or not all(isinstance(p, Joint) for p in models)
    ):
        raise PofxError("models: expected fitted distributions, as from pofx.fit")
    first = models[0]
    for p in models:
        if p.schema != first.schema or p.evidence:
            raise PofxError(
                "models: expected fits of one schema without evidence; pass schema= of the first"
            )
    x = encode(first.schema, data)
    if not len(x):
        raise PofxError("data: expected rows to weigh the models by, got none")
    with float64(is_float64(*(p.model for p in models))):
        rows = make_rows(x)
        scores = np.stack([log_prob(p.model, rows) for p in models])
        used, weights = prune_stack(scores, np.ones(len(x)))
        parts = [p for p, is_used in zip(models, used) if is_used]
        model = Stack(jnp.log(jnp.asarray(weights)), tuple(p.model for p in parts))
        log_likelihood = np.mean(log_prob(model, rows) - log_scale(first.schema, x).sum(1))
    record = {
        "model": "stack",
        "options": {},
        "parts": [
            {
                "model": p.fit_info["model"],
                "options": p.fit_info["options"],
                "weight": float(w),
            }
            for p, w in zip(parts, weights)
        ],
        "rows": len(x),
        "missing": float(np.isnan(x).mean()),
        "log_likelihood": float(log_likelihood),
        "steps": 0,
        "history": [],
        "converged": all(p.fit_info["converged"] for p in parts),
        "seconds": sum(p.fit_info["seconds"] for p in parts),
        "seed": first.fit_info["seed"],
        "leaderboard": [],
    }
    no_evidence = np.full(first.schema.size, np.nan)
    return Joint(model, first.schema, no_evidence, fit_info=to_json_types(record))
