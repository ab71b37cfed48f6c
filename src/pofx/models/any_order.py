"""The order-agnostic autoregressive model: any columns given any others, by one network."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.core.abstract import AbstractTractable, Example, Mask, Row
from pofx.core.abstract_approximate import AbstractLowerBound
from pofx.core.column import KINDS, Column, Kind
from pofx.core.rows import Rows, make_rows
from pofx.models.networks.output_heads import AbstractNetworkModel, Heads, init_network_model
from pofx.nets.made import MADE
from pofx.nets.tokens import RowTokens
from pofx.nets.transformer import Transformer

JUDGED = 4
"""Random subsets by which a row held out is judged."""


class AnyOrder(AbstractLowerBound, AbstractNetworkModel):
    """Columns of any kinds, one after the other in every order: a mixture over orders.

    p(x_O) = E_σ Π_t p(x_σ(t) | x_σ(1), ..., x_σ(t-1)),   σ uniform over the orders of O

    One network says of each column what the columns seen say of it, whichever they are: a
    perceptron of what is seen and which it is (`net="made"`), or a transformer over tokens, blank
    where a column is not seen. What is missing comes last in an order, so that any pattern is
    conditioned on as it is: log w is log p_σ(x_O), and the rest drawn along σ. The mean over a few
    orders is so a lower bound of log p(x_O); `orders` tells how they spread. Each pattern O has a
    mixture of its own: as far as orders disagree, one is not quite the marginal of another. A row
    costs d passes an order. Uria, Murray and Larochelle, "A deep and tractable density estimator"
    (2014); Hoogeboom et al., "Autoregressive diffusion models" (2022).

    >>> p, columns = AnyOrder.example(jax.random.key(0))
    >>> spread = p.orders(jax.random.key(1), jnp.ones(3), jnp.array([True, True, False]), 5)
    >>> spread.shape, bool(jnp.ptp(spread) < 1e-3)
    ((5,), True)
    """

    tokens: RowTokens
    heads: Heads
    net: MADE | Transformer

    needs_proposal: ClassVar[bool] = False
    sampling_cost: ClassVar[str] = "a pass a column"
    # The loss is noisy, and held-out rows go on gaining after epochs that gain nothing.
    sgd_defaults: ClassVar[Mapping[str, Any]] = {"average": 0.995, "rate": 3e-3, "patience": 20}

    def along(
        self, key: PRNGKeyArray, order: Int[Array, "d"], x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        """x, its missing entries drawn along an order, and the sum of log p of the observed ones.

        That is log p_σ(x_O) where the observed come first in the order.
        """
        number = jnp.arange(self.size)

        def step(carry, at):
            (x, seen, total), (key, j) = carry, at
            raw, here = self.raw(x, seen), number == j
            drawn = self.heads.draw(key, raw, j).astype(x.dtype)
            gain = self.heads.log_prob(raw, j, jnp.where(observed[j], x[j], drawn))
            total = total + jnp.where(observed[j], gain, 0).astype(total.dtype)
            return (jnp.where(here & ~observed, drawn, x), seen | here, total), None

        start = (x, jnp.zeros(self.size, bool), jnp.zeros((), x.dtype))
        (x, _, total), _ = jax.lax.scan(step, start, (jax.random.split(key, self.size), order))
        return x, total

    def weighted_completion(
        self, key: PRNGKeyArray, proposal: AbstractTractable | None, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        ordering, drawing = jax.random.split(key)
        u = jax.random.uniform(ordering, (self.size,))
        return self.along(drawing, jnp.argsort(jnp.where(observed, u, 1 + u)), x, observed)

    def draw(self, key: PRNGKeyArray) -> Row:
        nothing = jnp.zeros(self.size, bool)
        return self.weighted_completion(key, None, jnp.zeros(self.size), nothing)[0]

    def orders(
        self, key: PRNGKeyArray, x: Row, observed: Mask, number: int
    ) -> Float[Array, "number"]:
        """log p_σ(x_O) of several orders, each drawn at random."""
        filled = jnp.where(observed, x, 0)
        keys = jax.random.split(key, number)
        return jax.vmap(lambda k: self.weighted_completion(k, None, filled, observed)[1])(keys)

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        """|O| / |O \\ S| Σ_j -log p(x_j | x_S) over j in O \\ S, of a random S of random size.

        Its mean is that of -log p_σ(x_O) over orders, an upper bound of -log p(x_O).
        """
        observed = jnp.broadcast_to(observed, x.shape)
        shift, scatter = jax.random.split(key)
        n = len(x)
        # Spread evenly over the rows of a batch, which vary less so than at random.
        share = (jax.random.uniform(shift) + jnp.arange(n) / n) % 1
        u = jnp.where(observed, jax.random.uniform(scatter, x.shape), 0)
        # Without the entry of the largest u the others are uniform below it: a uniform share of
        # that leaves each number of them equally likely, and never all.
        seen = observed & (u < (share * u.max(1))[:, None])

        def one(x, seen, observed):
            left = observed & ~seen
            own = self.heads.log_probs(self.raw(x, seen), x, left)
            return -own.sum() * observed.sum() / jnp.maximum(left.sum(), 1)

        return jax.vmap(one)(x, seen, observed)

    def validation_loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        keys = jax.random.split(key, JUDGED)
        return jax.lax.map(lambda k: self.loss(k, x, observed), keys).mean(0)

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
        width: int = 0,
        depth: int = 2,
        heads: int = 4,
        components: int = 8,
        prior: float = 1.0,
    ) -> "AnyOrder":
        """Near independent columns. Of width 0 a network is as wide as is usual: 256, or 64."""
        own = init_network_model(
            key,
            rows,
            columns,
            (),
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
        """Three binary columns of one joint distribution, so that all orders agree."""
        columns = tuple(Column(name, "binary", levels=2, family="bernoulli") for name in "abc")
        few = make_rows(np.array([[0.0, 1, 0], [1, 0, 1]]))
        joints, biases = jax.random.split(key)
        blank = cls.from_data(key, few, columns, width=64, depth=1)
        own = (jax.random.normal(biases, (64,)), jnp.zeros(3))
        blank = eqx.tree_at(lambda p: p.net.biases, blank, own)
        joint = np.asarray(jax.random.dirichlet(joints, jnp.full(8, 3.0)), np.float64)
        states = np.array(list(product((0, 1), repeat=3)))
        patterns = [(s, m) for s in states for m in states.astype(bool)]
        x, seen = (np.array(part) for part in zip(*patterns))
        # Of each pattern p(x_j = 1, x_O) and p(x_j = 0, x_O), where it does not see x_j.
        agree = np.array([((states == s) | ~m).all(1) * joint for s, m in patterns])
        ones, zeros = agree @ states, agree @ (1 - states)
        odds = np.log(np.where(seen, 1, ones)) - np.log(np.where(seen, 1, zeros))
        expected = odds - np.asarray(blank.heads.families[0].log_odds)

        def hidden(x, seen):
            return blank.net.hidden(*blank.tokens(jnp.where(seen, x, 0.0)), seen)

        h = np.asarray(jax.vmap(hidden)(jnp.asarray(x), jnp.asarray(seen)), np.float64)
        last = jnp.asarray(np.linalg.lstsq(h, expected, rcond=1e-7)[0].T)
        made = eqx.tree_at(lambda p: p.net.weights[-1], blank, last)
        return Example(made, columns)
