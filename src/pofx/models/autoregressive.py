"""The autoregressive model: a row one column after the other, each given those before it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core.abstract import AbstractTractable, AbstractValidatesOnLoss, Example, Mask, Row
from pofx.core.abstract_approximate import (
    AbstractDirectConditionals,
    AbstractExactDensity,
    importance_weighted,
)
from pofx.core.column import KINDS, Column, Kind
from pofx.core.errors import PofxError
from pofx.core.rows import Rows, make_rows
from pofx.models.networks.output_heads import AbstractNetworkModel, Heads, init_network_model
from pofx.nets.made import MADE
from pofx.nets.tokens import RowTokens
from pofx.nets.transformer import Transformer

ORDERS = ("given", "random")


class Autoregressive(
    AbstractExactDensity, AbstractDirectConditionals, AbstractNetworkModel, AbstractValidatesOnLoss
):
    """Columns of any kinds, one after the other in one order: the product rule.

    log p(x) = Σ_t log p(x_σ(t) | x_σ(1), ..., x_σ(t-1))

    One network gives all conditionals in one pass, since what it says of a column sees only the
    columns before it: a masked perceptron (`net="made"`; Germain, Gregor, Murray and Larochelle
    2015) or a causal transformer (`net="transformer"`; Vaswani et al. 2017). Each conditional is a
    mixture of `components` of the column's family, of levels one. A density is one pass, a draw d
    passes; a transformer's training takes memory for d² numbers a row, head and layer.

    >>> p = Autoregressive.example(jax.random.key(0)).model
    >>> p.size, p.draw(jax.random.key(1)).shape
    (3, (3,))
    """

    tokens: RowTokens
    heads: Heads
    net: MADE | Transformer

    sampling_cost: ClassVar[str] = "a pass a column"
    learns_from_missing: ClassVar[bool] = False
    sgd_defaults: ClassVar[Mapping[str, Any]] = {"average": 0.99, "rate": 2e-3}

    def log_density(self, x: Row) -> Float[Array, ""]:
        return self.heads.log_probs(self.raw(x), x, jnp.ones(self.size, bool)).sum()

    def draw(self, key: PRNGKeyArray) -> Row:
        return self.along(key, jnp.zeros(self.size), jnp.zeros(self.size, bool))

    def along(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        """x with its missing entries drawn one after the other, each given those before it."""

        def step(x, at):
            key, j = at
            # Columns that are still to come stand at zero, and the network does not see them.
            drawn = self.heads.draw(key, self.raw(x), j).astype(x.dtype)
            return x.at[j].set(jnp.where(observed[j], x[j], drawn)), None

        keys = jax.random.split(key, self.size)
        return jax.lax.scan(step, x, (keys, jnp.array(self.net.order)))[0]

    def weighted_completion(
        self, key: PRNGKeyArray, proposal: AbstractTractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        def first(x):
            whole = self.along(key, x, observed)
            return whole, self.heads.log_probs(self.raw(whole), whole, observed).sum()

        def others(x):
            return importance_weighted(key, proposal, self.log_density, x, observed)

        return jax.lax.cond(self.draws_exactly(observed), first, others, x)

    def draws_exactly(self, observed: Mask) -> Bool[Array, ""]:
        """Whether what is observed, but not all, comes first in the order."""
        seen = observed[jnp.array(self.net.order)]
        return ~(seen[1:] & ~seen[:-1]).any() & ~seen.all()

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        return -jax.vmap(self.log_density)(x)

    @classmethod
    def supported_kinds(cls, variable: str, **options: Any) -> frozenset[Kind]:
        return frozenset(KINDS)

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        *,
        net: str = "made",
        order: str = "given",
        width: int = 0,
        depth: int = 2,
        heads: int = 4,
        components: int = 8,
        prior: float = 1.0,
    ) -> "Autoregressive":
        """Near independent columns. Of width 0 a network is as wide as is usual: 256, or 64."""
        if order not in ORDERS:
            hint = "; for all orders fit 'any_order'" if order == "any" else ""
            raise PofxError(f"order: expected one of {', '.join(ORDERS)}; got {order!r}{hint}")
        shuffle, key = jax.random.split(key)
        sigma = np.arange(len(columns))
        if order == "random":
            sigma = np.asarray(jax.random.permutation(shuffle, sigma))
        own = init_network_model(
            key,
            rows,
            columns,
            sigma.tolist(),
            net=net,
            width=width,
            depth=depth,
            heads=heads,
            components=components,
            prior=prior,
        )
        return cls(*own)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        columns = (
            Column("a", "real", family="normal"),
            Column("b", "binary", levels=2, family="bernoulli"),
            Column("c", "categorical", levels=3, family="categorical"),
        )
        few = make_rows(np.array([[-1.0, 0, 0], [0, 1, 1], [1, 1, 2]]))
        made = cls.from_data(key, few, columns, order="random", width=8, depth=1, components=2)
        return Example(made, columns)
