"""The normalising flow: a row of normal numbers, bent by an invertible network."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core.distribution import Example, OnePhase, Row
from pofx.core.errors import PofxError
from pofx.core.inexact import Density
from pofx.core.rows import Rows
from pofx.core.variables import Column, Kind
from pofx.nets.bijection import LAYERS, TRANSFORMS, Bijection, Plan

NOTHING = np.zeros(0, np.float32)


class Flow(Density, OnePhase):
    """A normalising flow of continuous columns: the change of variables.

    log p(x) = log N(f(x); 0, I) + log |det df(x) / dx|

    f first takes out mean and scale of each column, then is a chain of coupling or autoregressive
    layers of affine maps or splines; beyond `tail` scales a spline is the identity, and the tails
    are a normal's. Rezende and Mohamed, "Variational inference with normalizing flows" (2015);
    Durkan et al., "Neural spline flows" (2019).

    >>> p = Flow.example(jax.random.key(0)).model
    >>> p.size, p.draw(jax.random.key(1)).shape
    (3, (3,))
    """

    bijection: Bijection
    shift: Float[Array, "d"]
    log_scale: Float[Array, "d"]

    holes: ClassVar[bool] = False
    pace: ClassVar[dict[str, Any]] = {"average": 0.99}

    @property
    def size(self) -> int:
        return len(self.shift)

    def log_density(self, x: Row) -> Float[Array, ""]:
        z, log_det = self.bijection((x - self.shift) * jnp.exp(-self.log_scale), NOTHING)
        return norm.logpdf(z).sum() + log_det - self.log_scale.sum()

    def draw(self, key: PRNGKeyArray) -> Row:
        z = jax.random.normal(key, (self.size,), self.shift.dtype)
        return self.shift + jnp.exp(self.log_scale) * self.bijection.inverse(z, NOTHING)

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        return -jax.vmap(self.log_density)(x)

    @classmethod
    def carries(cls, variable: str, **options: Any) -> frozenset[Kind]:
        return frozenset({"real"})

    @classmethod
    def start(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        kind: str = "autoregressive",
        transform: str = "spline",
        layers: int = 5,
        width: int = 64,
        depth: int = 2,
        knots: int = 8,
        tail: float = 5.0,
    ) -> "Flow":
        """Near the identity on columns of mean zero and scale one."""
        for name, value, known in (("kind", kind, LAYERS), ("transform", transform, TRANSFORMS)):
            if value not in known:
                raise PofxError(f"{name}: wanted one of {', '.join(known)}; got {value!r}")
        plan = Plan(len(columns), 0, kind, transform, layers, width, depth, knots, tail)
        x, observed, weight = rows.flat()
        share = observed * weight[:, None] / np.maximum((observed * weight[:, None]).sum(0), 1e-30)
        mean = (share * np.where(observed, x, 0)).sum(0)
        spread = np.sqrt((share * np.where(observed, x - mean, 0) ** 2).sum(0))
        scale = np.log(np.where(spread > 0, spread, 1))
        return cls(Bijection.init(key, plan), jnp.asarray(mean), jnp.asarray(scale))

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        plan = Plan(3, 0, "coupling", "affine", 2, 8, 1, 4, 5.0)
        columns = tuple(Column(name, "real", family="normal") for name in "abc")
        return Example(cls(Bijection.init(key, plan), jnp.ones(3), jnp.zeros(3)), columns)
