"""The posterior of the latent variables of a model, given rows."""

import numpy as np
from jaxtyping import Float

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable
from pofx.core.abstract_approximate import AbstractImportanceSampled
from pofx.core.rows import Rows, per_row


def latent(model: AbstractQueryable, rows: Rows) -> dict[str, Float[np.ndarray, "n *k"]] | None:
    """The posterior of each latent variable given each row, by the name of the variable.

    It is the probabilities of a category, or the mean of a latent point. Returns None if the model
    has no latent variables.
    """
    # A proposal draws missing entries, and has no part in the latent variables.
    latent_model = model.model if isinstance(model, AbstractImportanceSampled) else model
    if closed_forms.latent.find(latent_model) is None:
        return None
    return per_row(_latent, latent_model, rows)


def _latent(model, x, observed):
    rule = closed_forms.latent.find(model)
    return None if rule is None else rule(model, x, observed)
