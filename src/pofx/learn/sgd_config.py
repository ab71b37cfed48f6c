"""The settings of stochastic gradient descent, and the check of their ranges."""

from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from pofx.core.errors import PofxError


class SGDConfig(NamedTuple):
    """Settings of gradient descent.

    Another `batch` compiles anew, and so does switching `average` on or off.
    """

    batch: int = 128
    """Largest number of rows per step; an epoch is cut into equal batches."""
    epochs: int = 40
    """Largest number of passes over the rows."""
    rate: float = 1e-3
    """Peak of the learning rate."""
    warmup: float = 0.05
    """Share of all steps in which the rate grows linearly; then the rate falls as a cosine."""
    final: float = 0.01
    """Last learning rate, as a share of the peak."""
    clip: float = 1.0
    """Largest global norm of a gradient; 0 for no limit."""
    decay: float = 0.0
    """Weight decay of AdamW (Loshchilov and Hutter 2019)."""
    average: float = 0.0
    """Decay per step of an exponential moving average of the parameters; 0 for no average.

    If there is an average, it is validated and returned.
    """
    patience: int = 0
    """Epochs without a better validation loss before training stops; 0 for no such stop."""
    seconds: float = float("inf")
    """Time after which no epoch begins, without compilation.

    If time ends training, the result depends on the machine.
    """


DEFAULT_SGD_CONFIG = SGDConfig()
VALID_RANGES = {
    "batch": ("an integer of at least 1", lambda v: v >= 1),
    "epochs": ("an integer of at least 1", lambda v: v >= 1),
    "rate": ("a finite number above 0", lambda v: 0 < v < np.inf),
    "warmup": ("a share from 0 to below 1", lambda v: 0 <= v < 1),
    "final": ("a share from 0 to 1", lambda v: 0 <= v <= 1),
    "clip": ("a finite number of at least 0", lambda v: 0 <= v < np.inf),
    "decay": ("a finite number of at least 0", lambda v: 0 <= v < np.inf),
    "average": ("a share from 0 to below 1", lambda v: 0 <= v < 1),
    "patience": ("an integer of at least 0", lambda v: v >= 0),
    "seconds": ("a number above 0", lambda v: v > 0),
}


def validated(settings: SGDConfig) -> SGDConfig:
    """The settings as plain Python numbers.

    Raises:
        PofxError: a setting is out of range; the message names the first one.
    """
    plain: dict[str, Any] = {}
    for name, value in settings._asdict().items():
        kind = type(getattr(DEFAULT_SGD_CONFIG, name))
        expected, is_valid = VALID_RANGES[name]
        if not issubclass(type(value), Integral if kind is int else Real) or not is_valid(value):
            raise PofxError(f"{name}: expected {expected}, got {value!r}")
        plain[name] = kind(value)
    return SGDConfig(**plain)
