"""The autoregressive model: each column given the columns before it."""

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
    """An autoregressive model: the product rule over the columns in one order, by a neural network.

    log p(x) = Σ_t log p(x_σ(t) | x_σ(1), ..., x_σ(t-1))

    Columns: all kinds. One network computes all conditionals in one pass, because its output for a
    column depends only on the columns before it. The network is a masked perceptron
    (`net="made"`; Germain, Gregor, Murray and Larochelle, "MADE", 2015) or a causal transformer
    (`net="transformer"`; Vaswani et al., "Attention is all you need", 2017). Each conditional is a
    mixture of `components` distributions of the column's family; a discrete column has one. A
    density costs one pass, a draw d passes. Training a transformer needs memory for d² numbers per
    row, attention head and layer.

    >>> p = Autoregressive.example(jax.random.key(0)).model
    >>> p.size, p.draw(jax.random.key(1)).shape
    (3, (3,))
    """

    tokens: RowTokens
    heads: Heads
    net: MADE | Transformer

    sampling_cost: ClassVar[str] = "one pass per column"
    learns_from_missing: ClassVar[bool] = False
    sgd_defaults: ClassVar[Mapping[str, Any]] = {"average": 0.99, "rate": 2e-3}

    def log_density(self, x: Row) -> Float[Array, ""]:
        return self.heads.log_probs(self.raw(x), x, jnp.ones(self.size, bool)).sum()

    def draw(self, key: PRNGKeyArray) -> Row:
        return self.draw_along(key, jnp.zeros(self.size), jnp.zeros(self.size, bool))

    def draw_along(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        """x with its missing entries drawn in order, each given the entries before it."""

        def step(x, inputs):
            key, j = inputs
            # The network masks the columns after j, so their entries of x do not matter.
            value = self.heads.draw(key, self.raw(x), j).astype(x.dtype)
            return x.at[j].set(jnp.where(observed[j], x[j], value)), None

        keys = jax.random.split(key, self.size)
        return jax.lax.scan(step, x, (keys, jnp.array(self.net.order)))[0]

    def weighted_completion(
        self, key: PRNGKeyArray, proposal: AbstractTractable, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        def draw_exactly(x):
            return self.direct_completion(key, x, observed)

        def draw_by_importance(x):
            return importance_weighted(key, proposal, self.log_density, x, observed)

        return jax.lax.cond(self.draws_exactly(observed), draw_exactly, draw_by_importance, x)

    def direct_completion(
        self, key: PRNGKeyArray, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        row = self.draw_along(key, x, observed)
        return row, self.heads.log_probs(self.raw(row), row, observed).sum()

    def draws_exactly(self, observed: Mask) -> Bool[Array, ""]:
        """Whether the observed columns come first in the order, and a column is missing."""
        observed_in_order = observed[np.array(self.net.order)]
        return ~(observed_in_order[1:] & ~observed_in_order[:-1]).any() & ~observed_in_order.all()

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
        """A model near independent columns, with a random network.

        Args:
            net: "made" (default) or "transformer".
            order: "given" (default) for the order of the table, or "random".
            width: units per layer; 0 (default) means 256 for "made", 64 for "transformer".
            depth: number of hidden layers, default 2.
            heads: attention heads of the transformer, a divisor of its width, default 4.
            components: mixture components per column of numbers, default 8.
            prior: pseudo-rows for the distribution of each column at the start, default 1.

        Raises PofxError for an option out of range.
        """
        if order not in ORDERS:
            hint = "; for all orders fit 'any_order'" if order == "any" else ""
            raise PofxError(f"order: expected one of {', '.join(ORDERS)}; got {order!r}{hint}")
        order_key, key = jax.random.split(key)
        permutation = np.arange(len(columns))
        if order == "random":
            permutation = np.asarray(jax.random.permutation(order_key, permutation))
        parts = init_network_model(
            key,
            rows,
            columns,
            permutation.tolist(),
            net=net,
            width=width,
            depth=depth,
            heads=heads,
            components=components,
            prior=prior,
        )
        return cls(*parts)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        columns = (
            Column("a", "real", family="normal"),
            Column("b", "binary", levels=2, family="bernoulli"),
            Column("c", "categorical", levels=3, family="categorical"),
        )
        rows = make_rows(np.array([[-1.0, 0, 0], [0, 1, 1], [1, 1, 2]]))
        model = cls.from_data(key, rows, columns, order="random", width=8, depth=1, components=2)
        return Example(model, columns)
