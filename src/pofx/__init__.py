"""p of x: learn a distribution from a table or from images once, then ask it anything.

>>> import numpy as np, pofx
>>> p = pofx.fit({"x": np.linspace(-1, 1, 20), "y": np.arange(20) % 2}, "independent")
>>> print(p.mutual_information("x", "y"))
I(x; y) = 0 nats   exact, closed form
"""

from collections.abc import Callable
from typing import Any, cast

import lazy_loader

from pofx.core.fit_hook import provide_fit
from pofx.core.jax_loading import prepare_jax

__version__ = "0.1.0"

prepare_jax()

# The public names are listed in __init__.pyi alone, and imported when they are first used, because
# importing JAX takes most of a second.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

provide_fit(lambda: cast("Callable[..., Any]", __getattr__("fit")))
