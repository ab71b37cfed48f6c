"""The log-probability of rows, log p(x_O)."""

import numpy as np
from jaxtyping import Float

from pofx.core import rows
from pofx.core.abstract import AbstractQueryable


def log_prob(model: AbstractQueryable, table: rows.Rows) -> Float[np.ndarray, "n"]:
    """log p(x_O) of each row in nats, with missing entries integrated out."""
    return rows.log_prob(model, table)
