"""Output heads: the distribution of each column, as a mixture of its family, from a network."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pofx.core.abstract import (
    AbstractDistribution,
    AbstractOnePhase,
    AbstractQueryable,
    AbstractWithoutState,
    Mask,
    Row,
)
from pofx.core.column import DISCRETE, Column
from pofx.core.compilation import compiled
from pofx.core.errors import PofxError, check_at_least
from pofx.core.family import AbstractFamily
from pofx.core.rows import Rows
from pofx.models.independent import Independent
from pofx.nets.made import MADE
from pofx.nets.tokens import RowTokens
from pofx.nets.transformer import Transformer

DEFAULT_WIDTHS = {"made": 256, "transformer": 64}
"""The networks, and their default widths."""
OFFSET_SCALE = 0.5
"""The standard deviation of the raw offsets by which the parts of a mixture start apart."""


class Heads(eqx.Module):
    """The distribution of each column, from the raw numbers that a network outputs about it.

    p(x_j) = Σ_k w_jk p(x_j; η_jk), with w a softmax and η for `AbstractFamily.from_unconstrained`

    Columns of one family form a group. With raw numbers of zero a column of levels has its own
    distribution in the data, and a column of numbers a mixture close to that. Mixtures as in Uria,
    Murray and Larochelle, "RNADE: the real-valued neural autoregressive density-estimator" (2013).

    Attributes:
        families: the family of each group.
        offset: numbers that are added to the output of the network.
        places: the columns of each group.
        parts: the number of mixture parts per column in each group; 1 for levels.
        raw_sizes: the number of raw numbers per part in each group, without its weight.
    """

    families: tuple[AbstractFamily, ...]
    offset: Float[Array, "out"]
    places: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    parts: tuple[int, ...] = eqx.field(static=True)
    raw_sizes: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        """The number of columns."""
        return sum(len(place) for place in self.places)

    @property
    def raw_per_column(self) -> tuple[int, ...]:
        """The number of raw numbers per column in each group."""
        return tuple(k * (size + (k > 1)) for k, size in zip(self.parts, self.raw_sizes))

    def log_probs(self, raw: Float[Array, "out"], x: Row, observed: Mask) -> Float[Array, "d"]:
        """log p(x_j) of each column in nats, zero if it is missing."""
        out = []
        for family, place, parts, group_raw in zip(
            self.families, self.places, self.parts, self._raw_by_group(raw)
        ):
            index = slice(None) if len(self.places) == 1 else np.array(place)
            present = observed[index]
            value = jnp.where(present, x[index], family.support_point)
            out.append(jnp.where(present, _log_prob(family, group_raw, parts, value), 0))
        if len(out) == 1:
            return out[0]
        return jnp.concatenate(out)[np.argsort(np.concatenate(self.places))]

    def log_prob(
        self, raw: Float[Array, "out"], j: Int[Array, ""], value: Float[Array, ""]
    ) -> Float[Array, ""]:
        """log p(x_j) in nats of one column."""
        total = jnp.zeros(())
        for is_j, family, parts, column_raw in self._column_of_each_group(raw, j):
            x = jnp.where(is_j, value, family.support_point)[None]
            total = jnp.where(is_j, _log_prob(family, column_raw, parts, x)[0], total)
        return total

    def draw(
        self, key: PRNGKeyArray, raw: Float[Array, "out"], j: Int[Array, ""]
    ) -> Float[Array, ""]:
        """A draw of x_j."""
        part_key, draw_key = jax.random.split(key)
        value = jnp.zeros(())
        for is_j, family, parts, column_raw in self._column_of_each_group(raw, j):
            raws, log_weights = _split_mixture(column_raw, parts)
            part = jax.random.categorical(part_key, log_weights[:, 0])
            # Some families draw in loops, which have no gradient.
            distribution = jax.lax.stop_gradient(family.from_unconstrained(raws[part]))
            value = jnp.where(is_j, distribution.sample(draw_key)[0], value)
        return value

    def _raw_by_group(self, raw: Float[Array, "out"]) -> list[Float[Array, "c size"]]:
        """The raw numbers of each group, one row per column."""
        shapes = [(len(place), size) for place, size in zip(self.places, self.raw_per_column)]
        ends = np.cumsum([c * size for c, size in shapes])[:-1]
        return [
            group_raw.reshape(shape)
            for group_raw, shape in zip(jnp.split(raw + self.offset, ends), shapes)
        ]

    def _column_of_each_group(
        self, raw: Float[Array, "out"], j: Int[Array, ""]
    ) -> Iterator[tuple[Bool[Array, ""], AbstractFamily, int, Float[Array, "1 size"]]]:
        """For each group, one column of it; the first item says whether that is column j.

        The others are the column's family, its number of parts and its raw numbers.
        """
        for family, place, parts, group_raw in zip(
            self.families, self.places, self.parts, self._raw_by_group(raw)
        ):
            position = np.full(self.size, -1)
            position[np.array(place)] = np.arange(len(place))
            i = jnp.asarray(position)[j]
            yield i >= 0, jax.tree.map(lambda a, i=i: a[i][None], family), parts, group_raw[i][None]

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        components: int,
        prior: float,
    ) -> "Heads":
        """Heads whose zero is each column's own distribution in the data.

        Args:
            components: number of mixture parts for a column of numbers.
            prior: number of pseudo-rows for each column's distribution.
        """
        independent = _fit_columns(Independent.from_data(key, rows, columns, prior=prior), rows)
        parts = tuple(
            1 if columns[place[0]].kind in DISCRETE else components for place in independent.places
        )
        raw_sizes = tuple(size for _, size in independent.raw_shapes(columns))
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        offsets = []
        for place, k, size in zip(independent.places, parts, raw_sizes):
            offset = np.zeros((len(place), k, size + (k > 1)))
            if k > 1:  # the last number of a part is its weight
                offset[..., :-1] = OFFSET_SCALE * rng.normal(size=(len(place), k, size))
            offsets.append(offset.ravel())
        return cls(
            independent.groups,
            jnp.asarray(np.concatenate(offsets)),
            independent.places,
            parts,
            raw_sizes,
        )


class AbstractNetworkModel(AbstractWithoutState, AbstractOnePhase):
    """A model that learns nothing but a network, in one phase.

    A subclass provides the fields `tokens` (the inputs of the network), `heads` and `net`, and the
    methods `from_data`, `loss`, `supported_kinds` and `example`.
    """

    tokens: eqx.AbstractVar[RowTokens]
    heads: eqx.AbstractVar[Heads]
    net: eqx.AbstractVar[Any]

    @property
    def size(self) -> int:
        return self.heads.size

    def raw(self, x: Row, seen_mask: Mask | None = None) -> Float[Array, "out"]:
        """The output of the network about all columns, given those of `seen_mask` (None: all)."""
        filled = x if seen_mask is None else jnp.where(seen_mask, x, 0)
        return self.net(*self.tokens(filled), seen_mask)

    def trainable_mask(self) -> Any:
        fixed = jax.tree.map(lambda _: False, self)
        return eqx.tree_at(lambda p: p.net, fixed, jax.tree.map(lambda _: True, self.net))

    def finalise(
        self,
        key: PRNGKeyArray,
        rows: Rows,
        score: Callable[[AbstractQueryable], Float[np.ndarray, "n"]],
    ) -> AbstractDistribution:
        return self


def init_network_model(
    key: PRNGKeyArray,
    rows: Rows,
    columns: Sequence[Column],
    order: Sequence[int],
    *,
    net: str,
    width: int,
    depth: int,
    heads: int,
    components: int,
    prior: float,
) -> tuple[RowTokens, Heads, MADE | Transformer]:
    """Tokens, output heads and a random network, together close to independent columns.

    Args:
        order: the order of the columns; empty for a network for all orders.
        net: "made" or "transformer".
        width: hidden units, 0 for the default of the network.
        depth: number of layers.
        heads: attention heads of a transformer, a divisor of its width.
        components: number of mixture parts for a column of numbers.
        prior: number of pseudo-rows for each column's own distribution.

    Raises PofxError for a value out of range.
    """
    if net not in DEFAULT_WIDTHS:
        raise PofxError(f"net: expected one of {', '.join(DEFAULT_WIDTHS)}; got {net!r}")
    check_at_least(0, width=width)
    check_at_least(1, depth=depth, heads=heads, components=components)
    width = width or DEFAULT_WIDTHS[net]
    if net == "transformer" and width % heads:
        raise PofxError(f"heads: expected a divisor of the width {width}, got {heads}")
    net_key, heads_key = jax.random.split(key)
    x, observed, weight = rows.to_arrays()
    tokens = RowTokens.from_data(columns, x, observed * weight[:, None])
    output_heads = Heads.from_data(heads_key, rows, columns, components, prior)
    sizes = output_heads.raw_per_column
    config = (tokens.counts, output_heads.places, sizes, tuple(order), width, depth)
    if net == "made":
        return tokens, output_heads, _init_jitted(MADE, net_key, *config)
    return tokens, output_heads, _init_jitted(Transformer, net_key, *config, heads)


def _split_mixture(raw: Float[Array, "c size"], parts: int) -> tuple[Array, Float[Array, "k c"]]:
    """The raw numbers of each part, and the logarithm of its weight."""
    if parts == 1:
        return raw[None], jnp.zeros((1, len(raw)), raw.dtype)
    split = jnp.moveaxis(raw.reshape(len(raw), parts, -1), 1, 0)
    return split[..., :-1], jax.nn.log_softmax(split[..., -1], 0)


def _log_prob(
    family: AbstractFamily, raw: Float[Array, "c size"], parts: int, x: Float[Array, "c"]
) -> Float[Array, "c"]:
    raws, log_weights = _split_mixture(raw, parts)
    if parts == 1:
        return family.from_unconstrained(raws[0]).log_prob(x)
    log_p = jax.vmap(lambda raw: family.from_unconstrained(raw).log_prob(x))(raws)
    return jax.nn.logsumexp(log_p + log_weights, 0)


@compiled
def _fit_columns(independent: Independent, rows: Rows) -> Independent:
    return independent.m_step(rows.sum(independent.expected_statistics)[0])


@compiled
def _init_jitted(cls: type, key: PRNGKeyArray, *config: Any) -> MADE | Transformer:
    """A random network, compiled as a whole, which is faster than op by op."""
    return cls.init(key, *config)
