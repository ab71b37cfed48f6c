"""Columns that are others exactly, by a sum or a change of units, and stay so in draws."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from pofx.core.column import Kind
from pofx.core.errors import PofxError

SPARE = 5
"""Distinct values of the target beyond the unknowns of a relation."""
EXACT = 1e-9
"""The largest misfit of a relation, as a share of the target's standard deviation."""
DIGITS = 9
"""Significant digits of a coefficient; more are rounding errors of the solution."""
OFTEN = 0.5
"""The share of rows in which a column must be observed to be one of several sources."""
WIDEST = 64
"""Columns among which relations are looked for, at most."""
SAMPLED = 2000
"""Rows on which they are looked for; all rows must then agree."""
ROUNDING = 1e-6
"""How far from a count or a level a number computed from others may be."""


@dataclass(frozen=True)
class Support:
    """The numbers that a column may hold, by its kind or as a list of its levels.

    >>> Support("count").nearest(np.array([2.0000000001, -1.0, 0.5]))
    (array([ 2., -1.,  0.]), array([ True, False, False]))
    """

    kind: Kind = "real"
    levels: tuple[float, ...] = ()

    @property
    def nonnegative(self) -> bool:
        """Whether it holds no number below zero."""
        return min(self.levels) >= 0 if self.levels else self.kind in ("positive", "count")

    @property
    def whole_numbers(self) -> bool:
        """Whether it holds whole numbers alone."""
        return all(v == int(v) for v in self.levels) if self.levels else self.kind == "count"

    def nearest(
        self, values: Float[np.ndarray, "n"]
    ) -> tuple[Float[np.ndarray, "n"], Bool[np.ndarray, "n"]]:
        """The values free of rounding errors, and which of them the column may hold."""
        if self.levels:
            levels = np.array(self.levels)
            near = levels[np.abs(values[:, None] - levels).argmin(1)]
            return near, np.abs(values - near) <= ROUNDING
        if self.kind == "count":
            near = np.rint(values)
            return near, (near >= 0) & (np.abs(values - near) <= ROUNDING)
        return values, values > 0 if self.kind == "positive" else ~np.isnan(values)


@dataclass(frozen=True)
class Relation:
    """target = constant + Σ coefficient * source, in the units of the data.

    >>> total = Relation("total", ("a", "b"), (1.0, 1.0))
    >>> total.solved_for("b")
    Relation(target='b', sources=('total', 'a'), coefficients=(1.0, -1.0), constant=0.0)
    >>> total.given({"b": 2.0})
    Relation(target='total', sources=('a',), coefficients=(1.0,), constant=2.0)
    """

    target: str
    sources: tuple[str, ...]
    coefficients: tuple[float, ...]
    constant: float = 0.0

    def __post_init__(self) -> None:
        numbers = (*self.coefficients, self.constant)
        sound = (
            all(type(n) is str for n in self.names)
            and len(set(self.names)) == len(self.names)
            and len(self.sources) == len(self.coefficients)
            and all(type(v) in (int, float) and math.isfinite(v) for v in numbers)
            and all(self.coefficients)
        )
        if not sound:
            raise PofxError(
                "relation: expected distinct columns, and a finite coefficient of each source, "
                f"got {str(asdict(self))[:80]}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it ties."""
        return (self.target, *self.sources)

    def solved_for(self, name: str) -> "Relation":
        """The same relation, with that column as the target."""
        if name == self.target:
            return self
        terms = dict(zip(self.sources, self.coefficients))
        divisor = terms.pop(name)
        coefficients = (1 / divisor, *(-c / divisor for c in terms.values()))
        constant = -self.constant / divisor if self.constant else 0.0
        return Relation(name, (self.target, *terms), coefficients, constant)

    def given(self, known: Mapping[str, float]) -> "Relation | None":
        """The relation of the columns that are not known; None where all are."""
        unknown_name_error = [n for n in self.names if n not in known]
        if not unknown_name_error:
            return None
        one = self.solved_for(unknown_name_error[0])
        terms = dict(zip(one.sources, one.coefficients))
        constant = one.constant + sum(c * known[n] for n, c in terms.items() if n in known)
        left = {n: c for n, c in terms.items() if n not in known}
        return Relation(one.target, tuple(left), tuple(left.values()), constant)

    def eliminating(self, other: "Relation") -> "Relation | None":
        """The relation with the target of another replaced by its sources; None where none is."""
        if other.target not in self.names:
            return self
        pivot = next((n for n in self.names if n not in other.names), None)
        if pivot is None:
            return None
        one = self.solved_for(pivot)
        terms = dict(zip(one.sources, one.coefficients))
        factor = terms.pop(other.target)
        for name, coefficient in zip(other.sources, other.coefficients):
            terms[name] = terms.get(name, 0.0) + factor * coefficient
        terms = {n: c for n, c in terms.items() if c}
        constant = one.constant + factor * other.constant
        return Relation(pivot, tuple(terms), tuple(terms.values()), constant)

    def implied_target(self, values: Mapping[str, Float[np.ndarray, "n"]]) -> Float[np.ndarray, "n"]:
        """What the sources say of the target."""
        like = np.zeros_like(values[self.target])
        total = sum((c * values[n] for n, c in zip(self.sources, self.coefficients)), like)
        return total + self.constant


def impose(
    relations: Sequence[Relation],
    values: Mapping[str, Float[np.ndarray, "n"]],
    drawn: Mapping[str, Bool[np.ndarray, "n"]],
    supports: Mapping[str, Support] = {},
) -> dict[str, Float[np.ndarray, "n"]]:
    """The values, in which drawn cells obey the relations; other cells stay.

    In each row the first drawn column gives way whose support holds what the others imply. Parts of
    an observed total that would leave less than nothing for it are scaled down first.
    """
    obedient = dict(values)
    # What one relation moves another may rest on: a few rounds settle it.
    for _ in range(len(relations) + 1):
        before = dict(obedient)
        for relation in relations:
            if all(n in supports and supports[n].nonnegative for n in relation.sources):
                obedient.update(_shares(relation, obedient, drawn, supports))
            open_ = np.ones(len(obedient[relation.target]), bool)
            for name in relation.names:
                implied = relation.solved_for(name).implied_target(obedient)
                implied, inside = supports.get(name, Support()).nearest(implied)
                put = open_ & drawn[name] & inside
                obedient[name] = np.where(put, implied, obedient[name])
                open_ &= ~put
        if all(np.array_equal(obedient[n], before[n], equal_nan=True) for n in obedient):
            break
    return obedient


def _shares(
    relation: Relation,
    values: Mapping[str, Float[np.ndarray, "n"]],
    drawn: Mapping[str, Bool[np.ndarray, "n"]],
    supports: Mapping[str, Support],
) -> dict[str, Float[np.ndarray, "n"]]:
    """Drawn parts of an observed total, scaled down if they come to more than is left of it."""
    if not all(c > 0 for c in relation.coefficients):
        return {}
    terms = {n: c * values[n] for n, c in zip(relation.sources, relation.coefficients)}
    parts = sum(np.where(drawn[n], term, 0) for n, term in terms.items())
    fixed = sum(np.where(drawn[n], 0, term) for n, term in terms.items())
    left = values[relation.target] - relation.constant - fixed
    over = ~drawn[relation.target] & (left >= 0) & (parts > left)
    share = np.where(over, left / np.where(over, parts, 1), 1)
    scaled = {n: np.where(over & drawn[n], values[n] * share, values[n]) for n in terms}
    return {n: np.floor(v) if supports[n].whole_numbers else v for n, v in scaled.items()}


def select_relations(
    relations: Iterable[Relation], names: Iterable[str], known: Mapping[str, float]
) -> tuple[Relation, ...]:
    """The relations among these columns, where the values of others are known.

    >>> tied = Relation("b", ("a",), (2.0,)), Relation("c", ("a", "d"), (1.0, 1.0))
    >>> select_relations(tied, ["b", "c", "d"], {})
    (Relation(target='c', sources=('d', 'b'), coefficients=(1.0, 0.5), constant=0.0),)
    """
    left = [one for relation in relations if (one := relation.given(known))]
    names = list(names)
    for gone in sorted({n for one in left for n in one.names} - set(names)):
        holders = [one for one in left if gone in one.names]
        if not holders:
            continue
        pivot = holders[0].solved_for(gone)
        others = [one.eliminating(pivot) for one in left if one is not holders[0]]
        left = [one for one in others if one is not None]
    return tuple(left)


def find(names: Sequence[str], values: Float[np.ndarray, "n d"]) -> tuple[Relation, ...]:
    """The columns that are constants plus multiples of columns before them, to rounding.

    >>> a = np.arange(10.0)
    >>> find(["a", "b"], np.stack([a, 1.8 * a + 32], 1))
    (Relation(target='b', sources=('a',), coefficients=(1.8,), constant=32.0),)
    """
    relations: list[Relation] = []
    basis: list[int] = []
    for j in range(min(len(names), WIDEST)):
        seen = values[~np.isnan(values[:, j]), j]
        if not len(seen) or np.ptp(seen) == 0:
            continue
        solved = _combination(values[:, basis], values[:, j])
        if solved is None:
            basis.append(j)
            continue
        coefficients, constant = solved
        used = np.flatnonzero(coefficients)
        sources = tuple(names[basis[i]] for i in used)
        own = tuple(map(float, coefficients[used]))
        relations.append(Relation(names[j], sources, own, float(constant)))
    return tuple(relations)


def _combination(
    x: Float[np.ndarray, "n p"], y: Float[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "p"], float] | None:
    """The coefficients and the constant by which y is x's columns exactly, or None."""
    seen = ~np.isnan(y)
    # One column alone first: it needs no rows in which all are observed.
    subsets = [[k] for k in range(x.shape[1])]
    often = np.flatnonzero((~np.isnan(x[seen])).mean(0) > OFTEN)
    if len(often) > 1:
        subsets.append(often.tolist())
    for columns in subsets:
        solved = _solve(x[:, columns], y)
        if solved is not None:
            coefficients = np.zeros(x.shape[1])
            coefficients[columns] = solved[0]
            return coefficients, solved[1]
    return None


def _solve(
    x: Float[np.ndarray, "n p"], y: Float[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "p"], float] | None:
    complete = ~np.isnan(y) & ~np.isnan(x).any(1)
    x, y = x[complete], y[complete]
    if len(np.unique(y)) < x.shape[1] + 1 + SPARE:
        return None
    step = -(-len(x) // SAMPLED)
    some, target = x[::step], y[::step]
    spread, scale = some.std(0), target.std()
    if not (scale > 0 and (spread > 0).all()):
        return None
    z, goal = (some - some.mean(0)) / spread, (target - target.mean()) / scale
    slopes, *_ = np.linalg.lstsq(z, goal, rcond=None)
    if np.abs(goal - z @ slopes).max() > 1e3 * EXACT:
        return None
    slopes = np.where(np.abs(slopes) < 1e-7, 0, slopes * scale / spread)
    # The rounding of the columns themselves is no misfit.
    misfit = EXACT * scale + 8 * np.finfo(float).eps * (np.abs(x) @ np.abs(slopes) + np.abs(y))
    # 1.8 rather than 1.7999999999998, but a third as it is.
    for own in (np.array([_rounded(slope) for slope in slopes]), slopes):
        left = y - x @ own
        middle = float(np.median(left))
        middle = 0.0 if abs(middle) < EXACT * scale else middle
        for constant in (_rounded(middle), middle):
            if own.any() and (np.abs(left - constant) <= misfit).all():
                return own, constant
    return None


def _rounded(value: float) -> float:
    """The number to as many digits as a solution has.

    >>> _rounded(1.7999999999998)
    1.8
    """
    return float(f"{value:.{DIGITS}g}")


def read(data: Any) -> tuple[Relation, ...]:
    """Relations from a file's header; PofxError for anything else."""
    fields = {"target", "sources", "coefficients", "constant"}
    lists = (list, tuple)
    if not isinstance(data, lists) or not all(
        type(one) is dict
        and set(one) == fields
        and isinstance(one["sources"], lists)
        and isinstance(one["coefficients"], lists)
        for one in data
    ):
        raise PofxError(f"relations: expected a list of {', '.join(sorted(fields))}")
    return tuple(
        Relation(one["target"], tuple(one["sources"]), tuple(one["coefficients"]), one["constant"])
        for one in data
    )
