"""Independent columns of any types."""

import operator
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from pofx.core import closed_forms
from pofx.core.abstract import AbstractParametric, Example, Mask, Row
from pofx.core.column import DISCRETE, KINDS, Column, Kind
from pofx.core.column_mixture import ColumnMixture
from pofx.core.double_double import Double, double
from pofx.core.family import AbstractFamily, fine_log_prob, log_between
from pofx.core.registry import discover
from pofx.core.rows import Rows
from pofx.families import column_families
from pofx.families.normal import Normal
from pofx.models.linear_gaussian.shrinkage import log_prior_of_family, scaled, pseudo_row_weights


class Independent(AbstractParametric):
    """Independent columns of any types, each with its one-column family.

    log p(x_O) = Σ_{j in O} log p_j(x_j)

    Columns of one family are one group, vectorised. `prior` is a number of pseudo-rows, drawn from
    the columns' own distributions over all data (0: maximum likelihood): as a part of a mixture it
    keeps a category that a component never saw possible, and a density from collapsing. A
    pseudo-row weighs less the worse a family of numbers explains it (`shrinkage.pseudo_row_weights`), so that
    a narrow component stays narrow.

    >>> p = Independent.example(jax.random.key(0)).model
    >>> p.size
    4
    """

    groups: tuple[AbstractFamily, ...]
    anchors: tuple[AbstractFamily, ...]
    places: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    prior: float = eqx.field(static=True, default=0.0)

    pattern_free: ClassVar[bool] = True

    @property
    def size(self) -> int:
        return sum(len(place) for place in self.places)

    def _log_prob(self, x: Row, observed: Mask) -> Float[Array, ""]:
        return self.log_probs(x, observed).sum()

    def log_probs(self, x: Row, observed: Mask) -> Float[Array, "d"]:
        """log p_j(x_j) of each column, zero where it is missing."""
        out = []
        for family, place in zip(self.groups, self.places):
            own, seen = _take(x, place), _take(observed, place)
            log_prob = family.log_prob(jnp.where(seen, own, family.support_point))
            out.append(jnp.where(seen, log_prob, 0))
        return _put(out, self.places, x.dtype)

    def fine_log_probs(self, x: Row, observed: Mask) -> Double:
        """`log_probs`, and what rounding took from them."""
        out = []
        for family, place in zip(self.groups, self.places):
            own, seen = _take(x, place), _take(observed, place)
            found = fine_log_prob(family, jnp.where(seen, own, family.support_point))
            out.append(Double(*(jnp.where(seen, a, 0) for a in found)))
        high, low = (_put([a[i] for a in out], self.places, x.dtype) for i in (0, 1))
        return Double(high, low)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        keys = jax.random.split(key, len(self.groups))
        draws = [family.sample(k) for family, k in zip(self.groups, keys)]
        return _put(draws, self.places, x.dtype)

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        own_pattern = 0 if observed.ndim == 2 else None
        log_prob = jax.vmap(self._log_prob, (0, own_pattern))(x, observed)
        own = self.cell_statistics(x, weight[:, None] * observed)
        return own, jnp.where(weight > 0, weight * log_prob, 0).sum()

    def cell_statistics(self, x: Float[Array, "n d"], weight: Float[Array, "n d"]) -> Any:
        """Each column's statistics, each cell of a weight of its own: zero where missing."""
        statistics = []
        for family, place in zip(self.groups, self.places):
            heavy = _take(weight, place)
            # Cells of weight zero may lie outside the support: padding does, and 0 log 0 is NaN.
            own = jnp.where(heavy > 0, _take(x, place), family.support_point)
            statistics.append(family.statistics(own, heavy))
        return tuple(statistics)

    def mean_statistics(self) -> Any:
        """The statistics that one row drawn from this model is expected to give."""
        return tuple(family.expected_statistics(family) for family in self.groups)

    def m_step(self, statistics: Any) -> "Independent":
        if self.prior:
            pseudo = self.pseudo_row()
            statistics = jax.tree.map(lambda s, e: s + self.prior * e, statistics, pseudo)
        return self.likeliest(statistics)

    def likeliest(self, statistics: Any) -> "Independent":
        """The columns of greatest likelihood for the statistics alone, without pseudo-rows."""
        learned = tuple(family.m_step(own) for family, own in zip(self.groups, statistics))
        return Independent(learned, self.anchors, self.places, self.prior)

    def pseudo_row(self) -> Any:
        """The statistics that one pseudo-row is expected to give, by its weight in each column."""
        triples = zip(self.groups, self.anchors, self._divergences())
        return tuple(scaled(pseudo_row_weights(kl), f.expected_statistics(own)) for f, own, kl in triples)

    def pseudo_weights(self) -> Float[Array, "d"]:
        """The weight of one pseudo-row in each column."""
        kls = self._divergences()
        return _put([pseudo_row_weights(kl) for kl in kls], self.places, kls[0].dtype)

    def _divergences(self) -> list[Float[Array, "c"]]:
        """KL(anchor || family) of columns of numbers; zero of levels, whose pseudo-row is whole."""
        out = []
        for family, anchor in zip(self.groups, self.anchors):
            rule = None if family.kinds <= DISCRETE else closed_forms.kl.find(anchor, family)
            out.append(rule(anchor, family) if rule else jnp.zeros_like(family.mean()))
        return out

    def log_prior_density(self) -> Float[Array, ""]:
        total = jnp.zeros(())
        for family, anchor, kl in zip(self.groups, self.anchors, self._divergences()):
            if family.kinds <= DISCRETE:
                rule = closed_forms.kl.find(anchor, family)
                total -= rule(anchor, family).sum() if rule else 0
            else:
                total += log_prior_of_family(kl).sum()
        return self.prior * total if self.prior else jnp.zeros(())

    @classmethod
    def supported_kinds(cls, variable: str, **options: Any) -> frozenset[Kind]:
        return frozenset(KINDS)

    @classmethod
    def from_data(
        cls, key: PRNGKeyArray, rows: Rows, columns: Sequence[Column], *, prior: float = 1.0
    ) -> "Independent":
        """Each column's family near its data."""
        x, observed, weight = rows.to_arrays()
        return cls.from_cells(columns, x, observed * weight[:, None], prior)

    @classmethod
    def from_cells(
        cls,
        columns: Sequence[Column],
        x: Float[np.ndarray, "n d"],
        weight: Float[np.ndarray, "n d"],
        prior: float,
    ) -> "Independent":
        """Each column's family near the cells of positive weight."""
        places, groups = map(tuple, zip(*column_families.families_from_data(columns, x, weight)))
        return cls(groups, groups, places, prior)

    def means(self) -> Row:
        """E[x_j] of each column."""
        means = [family.mean() for family in self.groups]
        return _put(means, self.places, means[0].dtype)

    def variances(self) -> Row:
        """Var[x_j] of each column."""
        variances = [family.variance() for family in self.groups]
        return _put(variances, self.places, variances[0].dtype)

    def modes(self) -> Row:
        """The value of highest mass or density of each column."""
        modes = [family.mode() for family in self.groups]
        return _put(modes, self.places, modes[0].dtype)

    def raw_shapes(self, columns: Sequence[Column]) -> tuple[tuple[int, ...], ...]:
        groups = column_families.group_columns(columns)
        return tuple((len(own), family.num_raw(columns[own[0]])) for own, family in groups)

    def from_unconstrained(self, raw: tuple[Float[Array, "c size"], ...]) -> "Independent":
        groups = tuple(f.from_unconstrained(own) for f, own in zip(self.groups, raw))
        return Independent(groups, self.anchors, self.places, self.prior)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        groups, columns, places = [], [], []
        for k, name in zip(jax.random.split(key, 2), ("normal", "bernoulli")):
            family, own = discover("pofx.families", AbstractFamily)[name].example(k)
            # Places interleave, so that an order taken for granted is found out.
            places.append(tuple(range(len(places), 2 * len(own), 2)))
            groups.append(family)
            columns.append(own)
        order = [c for pair in zip(*columns) for c in pair]
        return Example(cls(tuple(groups), tuple(groups), tuple(places)), tuple(order))


def _take(x: Array, place: tuple[int, ...]) -> Array:
    """The entries of x at these places of its last axis: a slice where they are consecutive."""
    if place == tuple(range(place[0], place[-1] + 1)):
        return x[..., place[0] : place[-1] + 1]
    return x[..., np.array(place)]


def _put(draws: list[Array], places: tuple[tuple[int, ...], ...], dtype: Any) -> Row:
    """Draws of the groups, back in the order of the columns."""
    order = np.argsort(np.concatenate([np.array(p) for p in places]))
    whole = jnp.concatenate([d.astype(dtype) for d in draws])
    return whole if (np.diff(order) == 1).all() else whole[order]


@closed_forms.condition.register(Independent)
def _condition(
    p: Independent, x: Row, observed: Bool[np.ndarray, "d"], keep: Bool[np.ndarray, "d"]
) -> Independent:
    new = np.cumsum(keep) - 1
    groups, anchors, places = [], [], []
    for family, anchor, place in zip(p.groups, p.anchors, p.places):
        if not keep[list(place)].any():
            continue
        own = np.flatnonzero(keep[list(place)])
        kept, kept_anchor = jax.tree.map(operator.itemgetter(own), (family, anchor))
        groups.append(kept)
        anchors.append(kept_anchor)
        places.append(tuple(int(new[j]) for j in place if keep[j]))
    return Independent(tuple(groups), tuple(anchors), tuple(places), p.prior)


@closed_forms.entropy.register(Independent)
def _entropy(p: Independent, asked: Bool[np.ndarray, "d"]) -> Float[Array, ""]:
    total = jnp.zeros(())
    for family, place in zip(p.groups, p.places):
        total += jnp.where(_take(jnp.asarray(asked), place), family.entropy(), 0).sum()
    return total


@closed_forms.kl.register(Independent, Independent)
def _kl(p: Independent, q: Independent, asked: Bool[np.ndarray, "d"]) -> Float[Array, ""] | None:
    total = jnp.zeros(())
    if p.places != q.places:
        return None
    for one, other, place in zip(p.groups, q.groups, p.places):
        rule = closed_forms.kl.find(one, other)
        if rule is None:
            return None
        total += jnp.where(_take(jnp.asarray(asked), place), rule(one, other), 0).sum()
    return total


@closed_forms.moments.register(Independent)
def _moments(p: Independent) -> tuple[Row, Float[Array, "d d"]]:
    return p.means(), jnp.diag(p.variances())


@closed_forms.conditional_column.register(Independent)
def _column(p: Independent, x: Row, observed: Mask, j: int) -> ColumnMixture:
    family, i = _home(p, j)
    return ColumnMixture(jnp.zeros(1, x.dtype), _one(family, i))


@closed_forms.log_prob_box.register(Independent)
def _box(
    p: Independent,
    x: Row,
    observed: Mask,
    place: tuple[int, ...],
    low: Float[Array, "b"],
    high: Float[Array, "b"],
    given: Mask | None = None,
) -> Float[Array, ""]:
    each = p.log_probs(x, observed)
    if given is not None:
        possible = (jnp.where(given, each, 0) > -jnp.inf).all()
        each = jnp.where(possible, jnp.where(given, 0, each), jnp.nan)
    total = each.sum()
    for j, a, b in zip(place, low, high):
        family, i = _home(p, j)
        total += log_between(_one(family, i), a[None], b[None])[0]
    return total


@closed_forms.terms.register(Independent)
def _terms(p: Independent, x: Row, observed: Mask, fine: bool) -> Double:
    score = p.fine_log_probs if fine else lambda *row: double(p.log_probs(*row))
    return Double(*(jnp.append(a, 0) for a in score(x, observed)))


def _one(family: AbstractFamily, i: int) -> AbstractFamily:
    """Column i of a family, as a family of one."""
    return jax.tree.map(lambda leaf: leaf[i : i + 1], family)


def _home(p: Independent, j: int) -> tuple[AbstractFamily, int]:
    """The group that column j belongs to, and its number there."""
    return next((f, place.index(j)) for f, place in zip(p.groups, p.places) if j in place)


@closed_forms.as_gaussian.register(Independent)
def _normal(p: Independent) -> tuple[Row, Float[Array, "d d"]] | None:
    return _moments(p) if all(isinstance(f, Normal) for f in p.groups) else None


@closed_forms.expectation.register(Independent)
def _expectation(p: Independent, x: Row, observed: Mask) -> Row:
    return p.means()


@closed_forms.most_probable.register(Independent)
def _completion(p: Independent, x: Row, observed: Mask) -> tuple[Row, Float[Array, ""]]:
    best = jnp.where(observed, x, p.modes())
    return best, p.log_prob(best)


@closed_forms.groups.register(Independent)
def _groups(p: Independent) -> tuple[int, ...]:
    return tuple(range(p.size))
