"""Columns that are exact linear combinations of others, also in draws of a model."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from pofx.core.column import Kind
from pofx.core.errors import PofxError

MIN_SURPLUS_VALUES = 5
"""Distinct values that the target must have beyond the number of a relation's unknowns."""
MAX_MISFIT = 1e-9
"""The largest misfit of a relation, as a share of the target's standard deviation."""
COEFFICIENT_DIGITS = 9
"""Significant digits of a coefficient; further digits are rounding errors of the solution."""
MIN_OBSERVED_SHARE = 0.5
"""The share of rows in which a column must be observed to be one of several sources."""
MAX_COLUMNS = 64
"""The most columns among which relations are looked for."""
SAMPLE_ROWS = 2000
"""Rows on which relations are looked for; all rows must then agree."""
MAX_ROUNDING_ERROR = 1e-6
"""The largest distance of a computed number from the count or level that it is rounded to."""


@dataclass(frozen=True)
class Support:
    """The numbers that a column may hold: by its kind, or its `levels` if it has any.

    >>> Support("count").nearest(np.array([2.0000000001, -1.0, 0.5]))
    (array([ 2., -1.,  0.]), array([ True, False, False]))
    """

    kind: Kind = "real"
    levels: tuple[float, ...] = ()

    @property
    def nonnegative(self) -> bool:
        """Whether the column holds no number below zero."""
        return min(self.levels) >= 0 if self.levels else self.kind in ("positive", "count")

    @property
    def whole_numbers(self) -> bool:
        """Whether the column holds whole numbers only."""
        return all(v == int(v) for v in self.levels) if self.levels else self.kind == "count"

    def nearest(
        self, values: Float[np.ndarray, "n"]
    ) -> tuple[Float[np.ndarray, "n"], Bool[np.ndarray, "n"]]:
        """The values without rounding errors, and which of them the column may hold, (n,) each."""
        if self.levels:
            levels = np.array(self.levels)
            nearest = levels[np.abs(values[:, None] - levels).argmin(1)]
            return nearest, np.abs(values - nearest) <= MAX_ROUNDING_ERROR
        if self.kind == "count":
            nearest = np.rint(values)
            return nearest, (nearest >= 0) & (np.abs(values - nearest) <= MAX_ROUNDING_ERROR)
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
        valid = (
            all(type(n) is str for n in self.names)
            and len(set(self.names)) == len(self.names)
            and len(self.sources) == len(self.coefficients)
            and all(type(v) in (int, float) and math.isfinite(v) for v in numbers)
            and all(self.coefficients)
        )
        if not valid:
            raise PofxError(
                "relation: expected distinct columns, and a finite coefficient of each source, "
                f"got {str(asdict(self))[:80]}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the relation, the target first."""
        return (self.target, *self.sources)

    def solved_for(self, name: str) -> "Relation":
        """The same relation with the column `name` as the target."""
        if name == self.target:
            return self
        terms = dict(zip(self.sources, self.coefficients))
        divisor = terms.pop(name)
        coefficients = (1 / divisor, *(-c / divisor for c in terms.values()))
        constant = -self.constant / divisor if self.constant else 0.0
        return Relation(name, (self.target, *terms), coefficients, constant)

    def given(self, values: Mapping[str, float]) -> "Relation | None":
        """The relation of the other columns given the `values` of some; None if all are given."""
        free = [n for n in self.names if n not in values]
        if not free:
            return None
        solved = self.solved_for(free[0])
        terms = dict(zip(solved.sources, solved.coefficients))
        constant = solved.constant + sum(c * values[n] for n, c in terms.items() if n in values)
        remaining = {n: c for n, c in terms.items() if n not in values}
        return Relation(solved.target, tuple(remaining), tuple(remaining.values()), constant)

    def eliminating(self, other: "Relation") -> "Relation | None":
        """The relation with the target of `other` replaced by its sources; None if it vanishes."""
        if other.target not in self.names:
            return self
        pivot = next((n for n in self.names if n not in other.names), None)
        if pivot is None:
            return None
        solved = self.solved_for(pivot)
        terms = dict(zip(solved.sources, solved.coefficients))
        factor = terms.pop(other.target)
        for name, coefficient in zip(other.sources, other.coefficients):
            terms[name] = terms.get(name, 0.0) + factor * coefficient
        terms = {n: c for n, c in terms.items() if c}
        constant = solved.constant + factor * other.constant
        return Relation(pivot, tuple(terms), tuple(terms.values()), constant)

    def implied_target(
        self, values: Mapping[str, Float[np.ndarray, "n"]]
    ) -> Float[np.ndarray, "n"]:
        """The values of the target that follow from those of the sources."""
        zeros = np.zeros_like(values[self.target])
        total = sum((c * values[n] for n, c in zip(self.sources, self.coefficients)), zeros)
        return total + self.constant


def impose(
    relations: Sequence[Relation],
    values: Mapping[str, Float[np.ndarray, "n"]],
    is_drawn: Mapping[str, Bool[np.ndarray, "n"]],
    supports: Mapping[str, Support] = {},
) -> dict[str, Float[np.ndarray, "n"]]:
    """Changes drawn cells so that they obey the relations; other cells stay.

    In each row, the first drawn column whose support allows it takes the value that the others
    imply. Nonnegative parts that exceed an observed total are scaled down first.

    Args:
        relations: the relations.
        values: the values of each column, (n,).
        is_drawn: which of them were drawn, (n,).
        supports: the numbers that each column may hold; every number if it is absent.
    """
    imposed = dict(values)
    # A change for one relation may break another; a few rounds settle this.
    for _ in range(len(relations) + 1):
        before = dict(imposed)
        for relation in relations:
            if all(n in supports and supports[n].nonnegative for n in relation.sources):
                imposed.update(_scale_parts(relation, imposed, is_drawn, supports))
            pending = np.ones(len(imposed[relation.target]), bool)
            for name in relation.names:
                implied = relation.solved_for(name).implied_target(imposed)
                implied, inside = supports.get(name, Support()).nearest(implied)
                changed = pending & is_drawn[name] & inside
                imposed[name] = np.where(changed, implied, imposed[name])
                pending &= ~changed
        if all(np.array_equal(imposed[n], before[n], equal_nan=True) for n in imposed):
            break
    return imposed


def _scale_parts(
    relation: Relation,
    values: Mapping[str, Float[np.ndarray, "n"]],
    is_drawn: Mapping[str, Bool[np.ndarray, "n"]],
    supports: Mapping[str, Support],
) -> dict[str, Float[np.ndarray, "n"]]:
    """Drawn parts of an observed total, scaled down if they exceed what is left of it."""
    if not all(c > 0 for c in relation.coefficients):
        return {}
    terms = {n: c * values[n] for n, c in zip(relation.sources, relation.coefficients)}
    parts = sum(np.where(is_drawn[n], term, 0) for n, term in terms.items())
    fixed = sum(np.where(is_drawn[n], 0, term) for n, term in terms.items())
    remainder = values[relation.target] - relation.constant - fixed
    over = ~is_drawn[relation.target] & (remainder >= 0) & (parts > remainder)
    share = np.where(over, remainder / np.where(over, parts, 1), 1)
    scaled = {n: np.where(over & is_drawn[n], values[n] * share, values[n]) for n in terms}
    return {n: np.floor(v) if supports[n].whole_numbers else v for n, v in scaled.items()}


def select_relations(
    relations: Iterable[Relation], names: Iterable[str], values: Mapping[str, float]
) -> tuple[Relation, ...]:
    """The relations among the columns `names`, given the `values` of others.

    >>> tied = Relation("b", ("a",), (2.0,)), Relation("c", ("a", "d"), (1.0, 1.0))
    >>> select_relations(tied, ["b", "c", "d"], {})
    (Relation(target='c', sources=('d', 'b'), coefficients=(1.0, 0.5), constant=0.0),)
    """
    remaining = [conditional for r in relations if (conditional := r.given(values))]
    names = list(names)
    for name in sorted({n for relation in remaining for n in relation.names} - set(names)):
        with_name = [relation for relation in remaining if name in relation.names]
        if not with_name:
            continue
        pivot = with_name[0].solved_for(name)
        eliminated = [r.eliminating(pivot) for r in remaining if r is not with_name[0]]
        remaining = [relation for relation in eliminated if relation is not None]
    return tuple(remaining)


def find(names: Sequence[str], values: Float[np.ndarray, "n d"]) -> tuple[Relation, ...]:
    """Finds columns that are constants plus multiples of columns before them, up to rounding.

    Args:
        names: the columns, (d,).
        values: their values, (n, d); NaN is a missing cell.

    >>> a = np.arange(10.0)
    >>> find(["a", "b"], np.stack([a, 1.8 * a + 32], 1))
    (Relation(target='b', sources=('a',), coefficients=(1.8,), constant=32.0),)
    """
    relations: list[Relation] = []
    basis: list[int] = []
    for j in range(min(len(names), MAX_COLUMNS)):
        observed = values[~np.isnan(values[:, j]), j]
        if not len(observed) or np.ptp(observed) == 0:
            continue
        solved = _combination(values[:, basis], values[:, j])
        if solved is None:
            basis.append(j)
            continue
        coefficients, constant = solved
        used = np.flatnonzero(coefficients)
        sources = tuple(names[basis[i]] for i in used)
        multiples = tuple(map(float, coefficients[used]))
        relations.append(Relation(names[j], sources, multiples, float(constant)))
    return tuple(relations)


def _combination(
    x: Float[np.ndarray, "n p"], y: Float[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "p"], float] | None:
    """Coefficients and constant that make y an exact combination of x's columns, or None."""
    observed = ~np.isnan(y)
    # Single columns come first, because they need no rows in which all columns are observed.
    subsets = [[k] for k in range(x.shape[1])]
    frequent = np.flatnonzero((~np.isnan(x[observed])).mean(0) > MIN_OBSERVED_SHARE)
    if len(frequent) > 1:
        subsets.append(frequent.tolist())
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
    """The same for all of x's columns, from the rows in which they are observed."""
    complete = ~np.isnan(y) & ~np.isnan(x).any(1)
    x, y = x[complete], y[complete]
    if len(np.unique(y)) < x.shape[1] + 1 + MIN_SURPLUS_VALUES:
        return None
    step = -(-len(x) // SAMPLE_ROWS)
    sample, target = x[::step], y[::step]
    spread, scale = sample.std(0), target.std()
    if not (scale > 0 and (spread > 0).all()):
        return None
    z = (sample - sample.mean(0)) / spread
    goal = (target - target.mean()) / scale
    slopes, *_ = np.linalg.lstsq(z, goal, rcond=None)
    if np.abs(goal - z @ slopes).max() > 1e3 * MAX_MISFIT:
        return None
    slopes = np.where(np.abs(slopes) < 1e-7, 0, slopes * scale / spread)
    # Rounding errors of the columns themselves are allowed.
    rounding = 8 * np.finfo(float).eps * (np.abs(x) @ np.abs(slopes) + np.abs(y))
    tolerance = MAX_MISFIT * scale + rounding
    # Rounding turns 1.7999999999998 into 1.8; if it breaks the relation, as for 1/3, it is undone.
    for coefficients in (np.array([_round(slope) for slope in slopes]), slopes):
        residual = y - x @ coefficients
        median = float(np.median(residual))
        median = 0.0 if abs(median) < MAX_MISFIT * scale else median
        for constant in (_round(median), median):
            if coefficients.any() and (np.abs(residual - constant) <= tolerance).all():
                return coefficients, constant
    return None


def _round(value: float) -> float:
    """The number with the digits that a solution has.

    >>> _round(1.7999999999998)
    1.8
    """
    return float(f"{value:.{COEFFICIENT_DIGITS}g}")


def read(data: Any) -> tuple[Relation, ...]:
    """Reads relations from a file's header; PofxError for anything else."""
    fields = {"target", "sources", "coefficients", "constant"}
    lists = (list, tuple)
    if not isinstance(data, lists) or not all(
        type(record) is dict
        and set(record) == fields
        and isinstance(record["sources"], lists)
        and isinstance(record["coefficients"], lists)
        for record in data
    ):
        raise PofxError(f"relations: expected a list of {', '.join(sorted(fields))}")
    return tuple(
        Relation(r["target"], tuple(r["sources"]), tuple(r["coefficients"]), r["constant"])
        for r in data
    )
