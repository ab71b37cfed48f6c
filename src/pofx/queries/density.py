"""How likely is a row: log p(x_O), exact for every tractable model."""

import numpy as np
from jaxtyping import Float

from pofx.core import rows
from pofx.core.abstract import AbstractQueryable


def log_prob(model: AbstractQueryable, table: rows.Rows) -> Float[np.ndarray, "n"]:
    """log p(x_O) of each row in nats, missing entries integrated out."""
    return rows.log_prob(model, table)
