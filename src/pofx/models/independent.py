"""Independent columns of any kinds, each with a one-column family."""

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
from pofx.models.linear_gaussian.shrinkage import log_prior_of_family, pseudo_row_weights, scaled


class Independent(AbstractParametric):
    """Independent columns of any kinds, each with a one-column family.

    log p(x_O) = Σ_{j in O} log p_j(x_j)

    Columns: all kinds. Columns of one family form one group, whose arrays are vectorised.

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
        """log p_j(x_j) in nats for each column, zero if it is missing."""
        out = []
        for family, place in zip(self.groups, self.places):
            is_seen = _gather(observed, place)
            values = jnp.where(is_seen, _gather(x, place), family.support_point)
            out.append(jnp.where(is_seen, family.log_prob(values), 0))
        return _scatter(out, self.places, x.dtype)

    def fine_log_probs(self, x: Row, observed: Mask) -> Double:
        """`log_probs` in double-double precision: the numbers and their rounding errors."""
        out = []
        for family, place in zip(self.groups, self.places):
            is_seen = _gather(observed, place)
            values = jnp.where(is_seen, _gather(x, place), family.support_point)
            out.append(Double(*(jnp.where(is_seen, a, 0) for a in fine_log_prob(family, values))))
        high, low = (_scatter([a[i] for a in out], self.places, x.dtype) for i in (0, 1))
        return Double(high, low)

    def _sample(self, key: PRNGKeyArray, x: Row, observed: Mask) -> Row:
        keys = jax.random.split(key, len(self.groups))
        draws = [family.sample(k) for family, k in zip(self.groups, keys)]
        return _scatter(draws, self.places, x.dtype)

    def _expected_statistics(
        self, x: Float[Array, "n d"], observed: Mask, weight: Float[Array, "n"]
    ) -> tuple[Any, Float[Array, ""]]:
        mask_axis = 0 if observed.ndim == 2 else None
        log_prob = jax.vmap(self._log_prob, (0, mask_axis))(x, observed)
        statistics = self.cell_statistics(x, weight[:, None] * observed)
        return statistics, jnp.where(weight > 0, weight * log_prob, 0).sum()

    def cell_statistics(self, x: Float[Array, "n d"], weight: Float[Array, "n d"]) -> Any:
        """Each column's statistics, with one weight per cell: zero if the cell is missing."""
        statistics = []
        for family, place in zip(self.groups, self.places):
            cell_weight = _gather(weight, place)
            # Cells of weight zero may lie outside the support: padding does, and 0 log 0 is NaN.
            values = jnp.where(cell_weight > 0, _gather(x, place), family.support_point)
            statistics.append(family.statistics(values, cell_weight))
        return tuple(statistics)

    def mean_statistics(self) -> Any:
        """The expected statistics of one row drawn from this model."""
        return tuple(family.expected_statistics(family) for family in self.groups)

    def m_step(self, statistics: Any) -> "Independent":
        if self.prior:
            pseudo = self.pseudo_row_statistics()
            statistics = jax.tree.map(lambda s, e: s + self.prior * e, statistics, pseudo)
        return self.maximum_likelihood(statistics)

    def maximum_likelihood(self, statistics: Any) -> "Independent":
        """The columns of greatest likelihood for the statistics alone, without pseudo-rows."""
        groups = tuple(family.m_step(s) for family, s in zip(self.groups, statistics))
        return Independent(groups, self.anchors, self.places, self.prior)

    def pseudo_row_statistics(self) -> Any:
        """The expected statistics of one pseudo-row, times its weight in each column."""
        triples = zip(self.groups, self.anchors, self._divergences())
        return tuple(
            scaled(pseudo_row_weights(kl), family.expected_statistics(anchor))
            for family, anchor, kl in triples
        )

    def pseudo_weights(self) -> Float[Array, "d"]:
        """The weight of one pseudo-row in each column."""
        kls = self._divergences()
        return _scatter([pseudo_row_weights(kl) for kl in kls], self.places, kls[0].dtype)

    def _divergences(self) -> list[Float[Array, "c"]]:
        """KL(anchor || family) in nats for columns of numbers.

        Zero for levels, so that their pseudo-rows have weight 1.
        """
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
        """Families started from the moments of their columns.

        Args:
            prior: number of pseudo-rows, drawn from each column's distribution over all data,
                default 1; 0 is maximum likelihood. In a part of a mixture they keep categories
                possible that a component never saw, and densities from collapsing. A pseudo-row
                weighs less the worse a family of numbers explains it
                (`shrinkage.pseudo_row_weights`), so a narrow component stays narrow.
        """
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
        """Families started from the cells of positive weight."""
        places, groups = map(tuple, zip(*column_families.families_from_data(columns, x, weight)))
        return cls(groups, groups, places, prior)

    def means(self) -> Row:
        """E[x_j] for each column."""
        means = [family.mean() for family in self.groups]
        return _scatter(means, self.places, means[0].dtype)

    def variances(self) -> Row:
        """Var[x_j] for each column."""
        variances = [family.variance() for family in self.groups]
        return _scatter(variances, self.places, variances[0].dtype)

    def modes(self) -> Row:
        """The value of highest mass or density for each column."""
        modes = [family.mode() for family in self.groups]
        return _scatter(modes, self.places, modes[0].dtype)

    def raw_shapes(self, columns: Sequence[Column]) -> tuple[tuple[int, ...], ...]:
        groups = column_families.group_columns(columns)
        return tuple((len(place), family.num_raw(columns[place[0]])) for place, family in groups)

    def from_unconstrained(self, raw: tuple[Float[Array, "c size"], ...]) -> "Independent":
        groups = tuple(family.from_unconstrained(r) for family, r in zip(self.groups, raw))
        return Independent(groups, self.anchors, self.places, self.prior)

    @classmethod
    def example(cls, key: PRNGKeyArray) -> Example:
        groups, columns, places = [], [], []
        for k, name in zip(jax.random.split(key, 2), ("normal", "bernoulli")):
            family, family_columns = discover("pofx.families", AbstractFamily)[name].example(k)
            # Places interleave, so that code which assumes an order fails its tests.
            places.append(tuple(range(len(places), 2 * len(family_columns), 2)))
            groups.append(family)
            columns.append(family_columns)
        order = [c for pair in zip(*columns) for c in pair]
        return Example(cls(tuple(groups), tuple(groups), tuple(places)), tuple(order))


def _gather(x: Array, place: tuple[int, ...]) -> Array:
    """The entries of x at these indices of its last axis: a slice if they are consecutive."""
    if place == tuple(range(place[0], place[-1] + 1)):
        return x[..., place[0] : place[-1] + 1]
    return x[..., np.array(place)]


def _scatter(values: list[Array], places: tuple[tuple[int, ...], ...], dtype: Any) -> Row:
    """The values of all groups, in the order of the columns."""
    order = np.argsort(np.concatenate([np.array(p) for p in places]))
    row = jnp.concatenate([v.astype(dtype) for v in values])
    return row if (np.diff(order) == 1).all() else row[order]


@closed_forms.condition.register(Independent)
def _condition(
    p: Independent, x: Row, observed: Bool[np.ndarray, "d"], keep: Bool[np.ndarray, "d"]
) -> Independent:
    new_index = np.cumsum(keep) - 1
    groups, anchors, places = [], [], []
    for family, anchor, place in zip(p.groups, p.anchors, p.places):
        if not keep[list(place)].any():
            continue
        index = np.flatnonzero(keep[list(place)])
        sub_family, sub_anchor = jax.tree.map(operator.itemgetter(index), (family, anchor))
        groups.append(sub_family)
        anchors.append(sub_anchor)
        places.append(tuple(int(new_index[j]) for j in place if keep[j]))
    return Independent(tuple(groups), tuple(anchors), tuple(places), p.prior)


@closed_forms.entropy.register(Independent)
def _entropy(p: Independent, target_mask: Bool[np.ndarray, "d"]) -> Float[Array, ""]:
    total = jnp.zeros(())
    for family, place in zip(p.groups, p.places):
        is_target = _gather(jnp.asarray(target_mask), place)
        total += jnp.where(is_target, family.entropy(), 0).sum()
    return total


@closed_forms.kl.register(Independent, Independent)
def _kl(
    p: Independent, q: Independent, target_mask: Bool[np.ndarray, "d"]
) -> Float[Array, ""] | None:
    total = jnp.zeros(())
    if p.places != q.places:
        return None
    for p_family, q_family, place in zip(p.groups, q.groups, p.places):
        rule = closed_forms.kl.find(p_family, q_family)
        if rule is None:
            return None
        is_target = _gather(jnp.asarray(target_mask), place)
        total += jnp.where(is_target, rule(p_family, q_family), 0).sum()
    return total


@closed_forms.moments.register(Independent)
def _moments(p: Independent) -> tuple[Row, Float[Array, "d d"]]:
    return p.means(), jnp.diag(p.variances())


@closed_forms.conditional_column.register(Independent)
def _column(p: Independent, x: Row, observed: Mask, j: int) -> ColumnMixture:
    family, i = _locate(p, j)
    return ColumnMixture(jnp.zeros(1, x.dtype), _single_column(family, i))


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
    log_probs = p.log_probs(x, observed)
    if given is not None:
        possible = (jnp.where(given, log_probs, 0) > -jnp.inf).all()
        log_probs = jnp.where(possible, jnp.where(given, 0, log_probs), jnp.nan)
    total = log_probs.sum()
    for j, a, b in zip(place, low, high):
        family, i = _locate(p, j)
        log_mass = log_between(_single_column(family, i), a[None], b[None])[0]
        total += jnp.where(observed[j], 0, log_mass)
    return total


@closed_forms.terms.register(Independent)
def _terms(p: Independent, x: Row, observed: Mask, fine: bool) -> Double:
    score = p.fine_log_probs if fine else lambda *row: double(p.log_probs(*row))
    return Double(*(jnp.append(a, 0) for a in score(x, observed)))


def _single_column(family: AbstractFamily, i: int) -> AbstractFamily:
    """Column i of a family, as a family of one column."""
    return jax.tree.map(lambda leaf: leaf[i : i + 1], family)


def _locate(p: Independent, j: int) -> tuple[AbstractFamily, int]:
    """The group that column j belongs to, and its index in the group."""
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
