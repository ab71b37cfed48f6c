"""The order-agnostic autoregressive model: one network for all orders of the columns."""

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

VALIDATION_SUBSETS = 4
"""Random subsets over which the validation loss of a row is averaged."""


class AnyOrder(AbstractLowerBound, AbstractNetworkModel):
    """An order-agnostic autoregressive model: a mixture of the product rule over all column orders.

    p(x_O) = E_σ Π_t p(x_σ(t) | x_σ(1), ..., x_σ(t-1)),   σ uniform over the orders of O

    Columns: all kinds. One network predicts each column from any subset of the others: a perceptron
    on the observed columns and their mask (`net="made"`), or a transformer with blank tokens for
    the columns that are not observed.

    Missing columns come last in an order, so the model conditions on any pattern directly: log w is
    log p_σ(x_O), and missing entries are drawn along σ. The mean over a few orders is therefore a
    lower bound of log p(x_O); `order_log_probs` shows how much orders differ. Each pattern O has
    its own mixture. If orders disagree, p(x_O) of one pattern is not exactly the marginal of
    another. A row costs d passes of the network per order. Uria, Murray and Larochelle, "A deep and
    tractable density estimator" (2014); Hoogeboom et al., "Autoregressive diffusion models" (2022).

    >>> p, columns = AnyOrder.example(jax.random.key(0))
    >>> observed = jnp.array([True, True, False])
    >>> log_probs = p.order_log_probs(jax.random.key(1), jnp.ones(3), observed, 5)
    >>> log_probs.shape, bool(jnp.ptp(log_probs) < 1e-3)
    ((5,), True)
    """

    tokens: RowTokens
    heads: Heads
    net: MADE | Transformer

    needs_proposal: ClassVar[bool] = False
    sampling_cost: ClassVar[str] = "one pass per column"
    # The loss is noisy: validation rows may improve again after epochs without any gain.
    sgd_defaults: ClassVar[Mapping[str, Any]] = {"average": 0.995, "rate": 3e-3, "patience": 20}

    def draw_along(
        self, key: PRNGKeyArray, order: Int[Array, "d"], x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        """x with its missing entries drawn along an order, and Σ log p of the observed entries.

        The sum is log p_σ(x_O) if the observed columns come first in the order.

        Args:
            order: a permutation of the columns, of shape (d,).
            x: one row; missing entries may hold any number.
            observed: mask of the observed entries.
        """
        index = jnp.arange(self.size)

        def step(carry, inputs):
            (x, seen_mask, total), (key, j) = carry, inputs
            raw = self.raw(x, seen_mask)
            is_j = index == j
            value = self.heads.draw(key, raw, j).astype(x.dtype)
            log_p = self.heads.log_prob(raw, j, jnp.where(observed[j], x[j], value))
            total = total + jnp.where(observed[j], log_p, 0).astype(total.dtype)
            return (jnp.where(is_j & ~observed, value, x), seen_mask | is_j, total), None

        start = (x, jnp.zeros(self.size, bool), jnp.zeros((), x.dtype))
        (x, _, total), _ = jax.lax.scan(step, start, (jax.random.split(key, self.size), order))
        return x, total

    def weighted_completion(
        self, key: PRNGKeyArray, proposal: AbstractTractable | None, x: Row, observed: Mask
    ) -> tuple[Row, Float[Array, ""]]:
        order_key, draw_key = jax.random.split(key)
        u = jax.random.uniform(order_key, (self.size,))
        return self.draw_along(draw_key, jnp.argsort(jnp.where(observed, u, 1 + u)), x, observed)

    def log_weight(self, key: PRNGKeyArray, x: Row) -> Float[Array, ""]:
        return self.weighted_completion(key, None, x, jnp.ones(self.size, bool))[1]

    def draw(self, key: PRNGKeyArray) -> Row:
        observed = jnp.zeros(self.size, bool)
        return self.weighted_completion(key, None, jnp.zeros(self.size), observed)[0]

    def order_log_probs(
        self, key: PRNGKeyArray, x: Row, observed: Mask, number: int
    ) -> Float[Array, "number"]:
        """log p_σ(x_O) of `number` random orders, in nats, of shape (number,)."""
        x_filled = jnp.where(observed, x, 0)
        keys = jax.random.split(key, number)
        return jax.vmap(lambda k: self.weighted_completion(k, None, x_filled, observed)[1])(keys)

    def loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        r"""|O| / |O \ S| Σ_j -log p(x_j | x_S) over j in O \ S, with S a random subset of O.

        The mean over S is that of -log p_σ(x_O) over orders, an upper bound of -log p(x_O).
        """
        observed = jnp.broadcast_to(observed, x.shape)
        shift_key, subset_key = jax.random.split(key)
        n = len(x)
        # Even spacing over the rows of a batch has less variance than independent fractions.
        fraction = (jax.random.uniform(shift_key) + jnp.arange(n) / n) % 1
        u = jnp.where(observed, jax.random.uniform(subset_key, x.shape), 0)
        # Below the largest u the other u are uniform. A threshold at a uniform fraction of it makes
        # each size of S equally likely, and never selects all entries.
        subset = observed & (u < (fraction * u.max(1))[:, None])

        def row_loss(x, subset, observed):
            target_mask = observed & ~subset
            log_probs = self.heads.log_probs(self.raw(x, subset), x, target_mask)
            return -log_probs.sum() * observed.sum() / jnp.maximum(target_mask.sum(), 1)

        return jax.vmap(row_loss)(x, subset, observed)

    def validation_loss(
        self,
        key: PRNGKeyArray,
        x: Float[Array, "n d"],
        observed: Bool[Array, "d"] | Bool[Array, "n d"],
    ) -> Float[Array, "n"]:
        keys = jax.random.split(key, VALIDATION_SUBSETS)
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
        """A model near independent columns, with a random network.

        Args:
            net: "made" (default) or "transformer".
            width: units per layer; 0 (default) means 256 for "made", 64 for "transformer".
            depth: number of hidden layers, default 2.
            heads: attention heads of the transformer, a divisor of its width, default 4.
            components: mixture components per column of numbers, default 8.
            prior: pseudo-rows for the distribution of each column at the start, default 1.

        Raises PofxError for an option out of range.
        """
        parts = init_network_model(
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
        return cls(*parts)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        """Three binary columns of one joint distribution, so all orders agree."""
        columns = tuple(Column(name, "binary", levels=2, family="bernoulli") for name in "abc")
        rows = make_rows(np.array([[0.0, 1, 0], [1, 0, 1]]))
        joint_key, bias_key = jax.random.split(key)
        start = cls.from_data(key, rows, columns, width=64, depth=1)
        bias_arrays = (jax.random.normal(bias_key, (64,)), jnp.zeros(3))
        start = eqx.tree_at(lambda p: p.net.biases, start, bias_arrays)
        joint = np.asarray(jax.random.dirichlet(joint_key, jnp.full(8, 3.0)), np.float64)
        states = np.array(list(product((0, 1), repeat=3)))
        patterns = [(s, m) for s in states for m in states.astype(bool)]
        x, masks = (np.array(part) for part in zip(*patterns))
        # p(x_j = 1, x_O) and p(x_j = 0, x_O) for each pattern that does not observe x_j.
        pattern_probs = np.array([((states == s) | ~m).all(1) * joint for s, m in patterns])
        ones, zeros = pattern_probs @ states, pattern_probs @ (1 - states)
        odds = np.log(np.where(masks, 1, ones)) - np.log(np.where(masks, 1, zeros))
        expected = odds - np.asarray(start.heads.families[0].log_odds)

        def hidden_units(x, mask):
            return start.net.hidden(*start.tokens(jnp.where(mask, x, 0.0)), mask)

        features = np.asarray(
            jax.vmap(hidden_units)(jnp.asarray(x), jnp.asarray(masks)), np.float64
        )
        weights = jnp.asarray(np.linalg.lstsq(features, expected, rcond=1e-7)[0].T)
        model = eqx.tree_at(lambda p: p.net.weights[-1], start, weights)
        return Example(model, columns)
