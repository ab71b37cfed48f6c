"""How likely is a row: log p(x_O), exact for every tractable model."""

import numpy as np
from jaxtyping import Float

from pofx.core.distribution import Tractable
from pofx.core.rows import Rows, per_row


def log_prob(model: Tractable, rows: Rows) -> Float[np.ndarray, "n"]:
    """log p(x_O) of each row in nats, missing entries integrated out."""
    return per_row(_log_prob, model, rows)


def _log_prob(model, x, observed):
    return model.log_prob(x, observed)
