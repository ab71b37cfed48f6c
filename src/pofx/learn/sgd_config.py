"""How gradients descend."""

from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from pofx.core.errors import PofxError


class SGDConfig(NamedTuple):
    """How to descend. A new `batch` compiles anew, and so does whether there is an `average`."""

    batch: int = 128
    """Rows of a step, at most: an epoch is cut into equal batches."""
    epochs: int = 40
    """Passes over the rows, at most."""
    rate: float = 1e-3
    """The learning rate at its peak."""
    warmup: float = 0.05
    """The share of all steps in which the rate grows linearly; then it falls as a cosine."""
    final: float = 0.01
    """The last rate, as a share of the peak."""
    clip: float = 1.0
    """The largest global norm of a gradient; 0 for none."""
    decay: float = 0.0
    """AdamW's weight decay (Loshchilov and Hutter 2019)."""
    average: float = 0.0
    """The decay per step of an exponential moving average of the parameters; 0 for none.

    Where there is one, it is what is validated and returned.
    """
    patience: int = 0
    """Epochs without a better validation loss before stopping; 0 for never."""
    seconds: float = float("inf")
    """Wall time, the first epoch left out (it compiles), after which no epoch begins.

    A result that it cut short depends on the machine.
    """


DEFAULT_SGD_CONFIG = SGDConfig()
RANGES = {
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


def checked(settings: SGDConfig) -> SGDConfig:
    """The settings as plain numbers; PofxError for the first that is out of range."""
    plain: dict[str, Any] = {}
    for name, value in settings._asdict().items():
        kind = type(getattr(DEFAULT_SGD_CONFIG, name))
        expected, holds = RANGES[name]
        if not issubclass(type(value), Integral if kind is int else Real) or not holds(value):
            raise PofxError(f"{name}: expected {expected}, got {value!r}")
        plain[name] = kind(value)
    return SGDConfig(**plain)
