"""The mixture: a hidden category, and a part for each of its values."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import rules
from pofx.core.axes import over_components, stack
from pofx.core.discovery import named
from pofx.core.distribution import Example, Mask, Row, Statistical, Tractable
from pofx.core.errors import PofxError
from pofx.core.rows import Rows
from pofx.core.variables import Column, Kind
from pofx.models.gaussian import Gaussian
from pofx.models.seeds import clusters


class Mixture(Statistical):
    """A mixture of K parts, any tractable model with its arrays stacked along a first axis of K.

    log p(x_O) = log Σ_k w_k p_k(x_O)

    x_M | x_O is a mixture of p_k(x_M | x_O) with weights w_k p_k(x_O) / p(x_O). Learned by EM:
    a part sees each row with the posterior probability of its component as weight (Dempster, Laird
    and Rubin 1977). `prior` is a number of pseudo-rows added to each weight.

    >>> p = Mixture.example(jax.random.key(0)).model
    >>> float(p.log_prob(jnp.zeros(p.size), jnp.zeros(p.size, bool)))
    0.0
    """

    log_weights: Float[Array, "k"]
    parts: Tractable
    prior: float = eqx.field(static=True, default=0.0)

    random_start: ClassVar[bool] = True

    @property
    def size(self) -> int:
        return self.parts.size

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        return jax.nn.logsumexp(self._joint(x, observed))

    def _joint(self, x: Row, observed: Mask) -> Float[Array, "k"]:
        """log p(k, x_O) for each component k."""
        log_prob = over_components(lambda part, x, o: part.log_prob(x, o), shared=2)
        return jax.nn.log_softmax(self.log_weights) + log_prob(self.parts, x, observed)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        choose, draw = jax.random.split(key)
        k = jax.random.categorical(choose, self._joint(x, observed))
        # All parts draw with one key, for only one draw is kept: the noise is made once.
        sample = over_components(lambda part, *rest: part.sample(*rest), shared=3)
        return sample(self.parts, draw, x, observed)[k]

    def _statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        joint = jax.vmap(self._joint, (0, None))(x, observed)
        log_prob = jax.nn.logsumexp(joint, axis=1)
        # A row impossible under every part has no posterior: it counts for none.
        posterior = jnp.where(log_prob[:, None] > -jnp.inf, jnp.exp(joint - log_prob[:, None]), 0)
        shares = weight * posterior.T
        own, _ = part_statistics(self.parts, shares, x, observed)
        return (shares.sum(1), own), jnp.where(weight > 0, weight * log_prob, 0).sum()

    def maximise(self, statistics: Any) -> "Mixture":
        shares, own = statistics
        parts = over_components(lambda part, s: part.maximise(s))(self.parts, own)
        return Mixture(
            jnp.log((shares + self.prior) / (shares + self.prior).sum()), parts, self.prior
        )

    @classmethod
    def carries(
        cls, variable: str, *, part: str = "independent", **options: Any
    ) -> frozenset[Kind]:
        return named("pofx.models", Statistical, "part", part).carries(variable, **options)

    @classmethod
    def start(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        components: int = 8,
        part: str = "independent",
        init: str = "k-means++",
        prior: float = 1.0,
        **options: Any,
    ) -> "Mixture":
        """One part for all rows, then one maximisation of each part for the rows of a cluster."""
        if not 1 <= components <= rows.count:
            raise PofxError(
                f"components: wanted 1 to {rows.count}, the number of rows; got {components}"
            )
        seed, inner = jax.random.split(key)
        one = named("pofx.models", Statistical, "part", part)
        template = one.start(inner, rows, columns, prior=prior, **options)
        owner = clusters(seed, rows, columns, components, init)
        shares = rows.split(np.eye(components, dtype=rows.x.dtype)[owner])
        parts = stack([template] * components)

        def sums(x, observed, weight, shares):
            own, _ = part_statistics(parts, weight * shares.T, x, observed)
            return (weight @ shares, own)

        start = cls(jnp.zeros(components), parts, prior)
        return start.maximise(eqx.filter_jit(rows.sum)(sums, shares))

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        parts = [Gaussian.example(k) for k in jax.random.split(key, 3)]
        parts = [
            eqx.tree_at(lambda p: p.mean, e.model, e.model.mean + 2 * i)
            for i, e in enumerate(parts)
        ]
        return Example(
            Mixture(jnp.log(jnp.array([0.5, 0.3, 0.2])), stack(parts)),
            Gaussian.example(key).columns,
        )


def part_statistics(
    parts: Any, weight: Float[Array, "k n"], x: Float[Array, "n d"], observed: Any
) -> tuple[Any, Float[Array, "k"]]:
    """The statistics of each part, with weights of its own."""
    sums = over_components(lambda part, w, x, o: part.statistics(x, o, w), shared=2)
    return sums(parts, weight, x, observed)


@rules.condition.register(Mixture)
def _condition(
    p: Mixture, x: Row, observed: Bool[np.ndarray, "d"], keep: Bool[np.ndarray, "d"]
) -> Mixture | None:
    rule = rules.condition.find(p.parts)
    if rule is None:
        return None
    parts = over_components(lambda part, x: rule(part, x, observed, keep), shared=1)(p.parts, x)
    log_weights = jax.nn.log_softmax(p._joint(x, jnp.asarray(observed)))
    return None if parts is None else Mixture(log_weights, parts, p.prior)
