"""What is hidden behind a row: the posterior of a model's latent variables."""

import numpy as np
from jaxtyping import Float

from pofx.core import closed_forms
from pofx.core.abstract import AbstractQueryable
from pofx.core.abstract_approximate import AbstractImportanceSampled
from pofx.core.rows import Rows, per_row


def latent(model: AbstractQueryable, rows: Rows) -> dict[str, Float[np.ndarray, "n *k"]] | None:
    """What the model says of its hidden variables given each row, by their name.

    Probabilities of a category, the mean of a latent point; None where the model has none.
    """
    # A guide proposes missing entries, and has no part in what is hidden.
    own = model.model if isinstance(model, AbstractImportanceSampled) else model
    return None if closed_forms.latent.find(own) is None else per_row(_latent, own, rows)


def _latent(model, x, observed):
    rule = closed_forms.latent.find(model)
    return None if rule is None else rule(model, x, observed)
