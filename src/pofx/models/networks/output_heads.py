"""What a network says of columns of any kinds, one given others: a mixture of each one's family."""

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
from pofx.core.errors import PofxError, check_at_least
from pofx.core.family import AbstractFamily
from pofx.core.rows import Rows
from pofx.models.independent import Independent
from pofx.nets.made import MADE
from pofx.nets.tokens import RowTokens
from pofx.nets.transformer import Transformer

WIDTHS = {"made": 256, "transformer": 64}
"""The networks, and how wide they usually are."""
SPREAD = 0.5
"""The scale, in a network's numbers, on which the parts of a mixture start apart."""


class Heads(eqx.Module):
    """The law of each column, from a network's numbers about it.

    p(x_j) = Σ_k w_jk p(x_j; η_jk), with w a softmax and η for `AbstractFamily.from_unconstrained`

    Columns of one family are a group, `places` its columns, and `parts` the number that is mixed of
    each: one of levels. Numbers of zero leave one family as the column's own distribution, several
    about it, an `offset` apart. Mixtures as in Uria, Murray and Larochelle, "RNADE: the real-valued
    neural autoregressive density-estimator" (2013).
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
    def sizes(self) -> tuple[int, ...]:
        """Of each group how many numbers state one column."""
        return tuple(k * (size + (k > 1)) for k, size in zip(self.parts, self.raw_sizes))

    def log_probs(self, raw: Float[Array, "out"], x: Row, observed: Mask) -> Float[Array, "d"]:
        """log p(x_j) of each column, zero where it is missing."""
        out = []
        for family, place, parts, own in zip(
            self.families, self.places, self.parts, self._own(raw)
        ):
            index = slice(None) if len(self.places) == 1 else np.array(place)
            seen = observed[index]
            at = jnp.where(seen, x[index], family.support_point)
            out.append(jnp.where(seen, _log_prob(family, own, parts, at), 0))
        if len(out) == 1:
            return out[0]
        return jnp.concatenate(out)[np.argsort(np.concatenate(self.places))]

    def log_prob(
        self, raw: Float[Array, "out"], j: Int[Array, ""], value: Float[Array, ""]
    ) -> Float[Array, ""]:
        """log p(x_j) of one column."""
        total = jnp.zeros(())
        for mine, family, parts, own in self._of(raw, j):
            at = jnp.where(mine, value, family.support_point)[None]
            total = jnp.where(mine, _log_prob(family, own, parts, at)[0], total)
        return total

    def draw(
        self, key: PRNGKeyArray, raw: Float[Array, "out"], j: Int[Array, ""]
    ) -> Float[Array, ""]:
        """A draw of x_j."""
        choosing, drawing = jax.random.split(key)
        value = jnp.zeros(())
        for mine, family, parts, own in self._of(raw, j):
            raws, log_weights = _mixed(own, parts)
            which = jax.random.categorical(choosing, log_weights[:, 0])
            # Some draws come of loops that have no gradient.
            law = jax.lax.stop_gradient(family.from_unconstrained(raws[which]))
            value = jnp.where(mine, law.sample(drawing)[0], value)
        return value

    def _own(self, raw: Float[Array, "out"]) -> list[Float[Array, "c size"]]:
        """The numbers of each group."""
        shapes = [(len(place), size) for place, size in zip(self.places, self.sizes)]
        ends = np.cumsum([c * size for c, size in shapes])[:-1]
        return [
            own.reshape(shape) for own, shape in zip(jnp.split(raw + self.offset, ends), shapes)
        ]

    def _of(
        self, raw: Float[Array, "out"], j: Int[Array, ""]
    ) -> Iterator[tuple[Bool[Array, ""], AbstractFamily, int, Float[Array, "1 size"]]]:
        """Of each group a column alone: column j, where the group has it, as the first says."""
        for family, place, parts, own in zip(
            self.families, self.places, self.parts, self._own(raw)
        ):
            home = np.full(self.size, -1)
            home[np.array(place)] = np.arange(len(place))
            i = jnp.asarray(home)[j]
            yield i >= 0, jax.tree.map(lambda a, i=i: a[i][None], family), parts, own[i][None]

    @classmethod
    def from_data(
        cls,
        key: PRNGKeyArray,
        rows: Rows,
        columns: Sequence[Column],
        components: int,
        prior: float,
    ) -> "Heads":
        """Of numbers zero each column's own distribution, with `prior` pseudo-rows."""
        one = _learned(Independent.from_data(key, rows, columns, prior=prior), rows)
        parts = tuple(
            1 if columns[place[0]].kind in DISCRETE else components for place in one.places
        )
        raw_sizes = tuple(size for _, size in one.raw_shapes(columns))
        rng, offsets = np.random.default_rng(np.asarray(jax.random.key_data(key))), []
        for place, k, size in zip(one.places, parts, raw_sizes):
            apart = np.zeros((len(place), k, size + (k > 1)))
            if k > 1:  # the last of a part's numbers is its weight
                apart[..., :-1] = SPREAD * rng.normal(size=(len(place), k, size))
            offsets.append(apart.ravel())
        offset = jnp.asarray(np.concatenate(offsets))
        return cls(one.groups, offset, one.places, parts, raw_sizes)


class AbstractNetworkModel(AbstractWithoutState, AbstractOnePhase):
    """A model of which a network is learned, in one go, and nothing else."""

    tokens: eqx.AbstractVar[RowTokens]
    heads: eqx.AbstractVar[Heads]
    net: eqx.AbstractVar[Any]

    @property
    def size(self) -> int:
        return self.heads.size

    def raw(self, x: Row, seen: Mask | None = None) -> Float[Array, "out"]:
        """What the network says of each column; of a row not all seen, from what is."""
        filled = x if seen is None else jnp.where(seen, x, 0)
        return self.net(*self.tokens(filled), seen)

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
    """Tokens, heads and a network near the data; without an order, one for all orders."""
    if net not in WIDTHS:
        raise PofxError(f"net: expected one of {', '.join(WIDTHS)}; got {net!r}")
    check_at_least(0, width=width)
    check_at_least(1, depth=depth, heads=heads, components=components)
    width = width or WIDTHS[net]
    if net == "transformer" and width % heads:
        raise PofxError(f"heads: expected a divisor of the width {width}, got {heads}")
    inner, outer = jax.random.split(key)
    x, observed, weight = rows.to_arrays()
    tokens = RowTokens.from_data(columns, x, observed * weight[:, None])
    law = Heads.from_data(outer, rows, columns, components, prior)
    plan = (tokens.counts, law.places, law.sizes, tuple(order), width, depth)
    if net == "made":
        return tokens, law, _random(MADE, inner, *plan)
    return tokens, law, _random(Transformer, inner, *plan, heads)


def _mixed(own: Float[Array, "c size"], parts: int) -> tuple[Array, Float[Array, "k c"]]:
    """The numbers of each part, (k, c, ...), and the logarithm of its weight."""
    if parts == 1:
        return own[None], jnp.zeros((1, len(own)), own.dtype)
    split = jnp.moveaxis(own.reshape(len(own), parts, -1), 1, 0)
    return split[..., :-1], jax.nn.log_softmax(split[..., -1], 0)


def _log_prob(
    family: AbstractFamily, own: Float[Array, "c size"], parts: int, x: Float[Array, "c"]
) -> Float[Array, "c"]:
    raws, log_weights = _mixed(own, parts)
    if parts == 1:
        return family.from_unconstrained(raws[0]).log_prob(x)
    each = jax.vmap(lambda raw: family.from_unconstrained(raw).log_prob(x))(raws)
    return jax.nn.logsumexp(each + log_weights, 0)


@eqx.filter_jit
def _learned(one: Independent, rows: Rows) -> Independent:
    return one.m_step(rows.sum(one.expected_statistics)[0])


@eqx.filter_jit
def _random(cls: type, key: PRNGKeyArray, *plan: Any) -> MADE | Transformer:
    """A random network, compiled in one go."""
    return cls.init(key, *plan)
