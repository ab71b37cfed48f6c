"""The schema of a table: kinds, levels, units and dtypes of its variables."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from pofx.core import html
from pofx.core.column import DISCRETE, KINDS, Column, Kind
from pofx.core.errors import PofxError, unknown_name_error
from pofx.core.escaping import escaped
from pofx.core.printing import number_text
from pofx.table.bijections import Bijection
from pofx.table.bijections import read as read_bijections
from pofx.table.field_checks import are_levels, is_finite, is_tuple_of, join_short, shorten
from pofx.table.frames.dtypes import known_dtype
from pofx.table.frames.exact import is_large_integer
from pofx.table.frames.times import (
    TIME_DENSITY_UNITS,
    TIME_DIFFERENCE_UNITS,
    TIME_VALUE_UNITS,
    TimeKind,
    format_time,
    time_kind_of,
)
from pofx.table.relations import Relation, select_relations
from pofx.table.relations import read as read_relations

CONTAINERS = ("pandas", "polars", "pyarrow", "numpy", "vector", "mapping")
"""Kinds of data; a "vector" is a numpy array of one dimension."""

HEAD = ("column", "kind", "family", "spikes", "resolution", "values")
"""The columns of the printed schema."""

MAX_ENTRIES = 1 << 20
"""The most entries of a row, so that a file cannot ask for arbitrary memory."""


@dataclass(frozen=True)
class Variable:
    """One variable of a row: a plain column, or an array such as an image.

    An entry for models is `(value - shift) / scale`, or the code of a level.

    Args:
        name: the name of the column.
        kind: one of `pofx.core.column.KINDS`.
        shape: the shape of each cell; () for a plain column.
        levels: the levels in order of their codes, for discrete kinds only.
        spikes: values with a point mass, in the data's units and in order.
        shift: the zero of entries, in the data's units.
        scale: the unit of entries, in the data's units.
        resolution: the smallest gap between values, in the data's units; 0 if unknown.
        family: the name of a family of distributions, or "".
        dtype: a word of the vocabulary of `dtypes.py`.

    Raises PofxError for an invalid field, so that a variable read from a file can be trusted.

    >>> Variable("image", "real", shape=(8, 8)).size
    64
    """

    name: str
    kind: Kind
    shape: tuple[int, ...] = ()
    levels: tuple[str | int | float | bool, ...] = ()
    spikes: tuple[float, ...] = ()
    shift: float = 0.0
    scale: float = 1.0
    resolution: float = 0.0
    family: str = ""
    dtype: str = ""

    def __post_init__(self) -> None:
        def check(holds: bool, field: str, expected: str) -> None:
            if not holds:
                got = shorten(getattr(self, field))
                raise PofxError(
                    f"variable {shorten(self.name)}: {field}: expected {expected}, got {got}"
                )

        check(isinstance(self.name, str), "name", "text")
        check(type(self.kind) is str and self.kind in KINDS, "kind", f"one of {', '.join(KINDS)}")
        check(is_tuple_of(self.shape, int) and min(self.shape, default=1) > 0, "shape", "sizes > 0")
        check(self.size <= MAX_ENTRIES, "shape", f"at most {MAX_ENTRIES} entries")
        check(
            are_levels(self.levels), "levels", "distinct values, all text, all numbers or all bool"
        )
        expected = (
            "exactly 2" if self.kind == "binary" else "at least 1" if self.discrete else "none"
        )
        number = len(self.levels)
        valid = number == 2 if self.kind == "binary" else (number > 0) == self.discrete
        check(valid, "levels", f"{expected} for kind {self.kind!r}")
        check(is_tuple_of(self.spikes, float), "spikes", "finite numbers")
        check(all(a < b for a, b in pairwise(self.spikes)), "spikes", "distinct values, in order")
        check(not (self.discrete and self.spikes), "spikes", f"none for kind {self.kind!r}")
        check(is_finite(self.shift), "shift", "a finite number")
        check(is_finite(self.scale) and self.scale > 0, "scale", "a finite number > 0")
        check(self.kind in ("real", "positive") or self.scale == 1, "scale", "1 for this kind")
        check(self.kind == "real" or self.shift == 0, "shift", "0 for this kind")
        check(is_finite(self.resolution) and self.resolution >= 0, "resolution", "a number >= 0")
        named = type(self.family) is str and re.fullmatch(r"([a-z][a-z0-9_]{0,99})?", self.family)
        check(bool(named), "family", "a name in lower case, or none")
        typed = type(self.dtype) is str and (not self.dtype or known_dtype(self.dtype))
        check(typed, "dtype", "the name of a type")

    @property
    def size(self) -> int:
        """The number of entries of a row that the variable fills."""
        return math.prod(self.shape)

    @property
    def discrete(self) -> bool:
        """Whether the entries are codes of levels."""
        return self.kind in DISCRETE

    @property
    def time_kind(self) -> TimeKind | None:
        """The kind of time that the values are, in the unit `unit`; None if they are no times."""
        return time_kind_of(self.dtype)

    @property
    def unit(self) -> str:
        """The unit of the values of times; empty for other values.

        >>> Variable("when", "real", dtype="timestamp[us]").unit
        'days since 1970-01-01'
        """
        return TIME_VALUE_UNITS[self.time_kind] if self.time_kind else ""

    @property
    def density_unit(self) -> str:
        """The unit that densities are per: "day" or "s" for times, else "unit"."""
        return TIME_DENSITY_UNITS[self.time_kind] if self.time_kind else "unit"

    @property
    def column(self) -> Column:
        """The column of each entry, in the units of entries."""
        return Column(
            variable=self.name,
            kind=self.kind,
            levels=len(self.levels),
            resolution=self.resolution / self.scale,
            spikes=tuple((spike - self.shift) / self.scale for spike in self.spikes),
            family=self.family,
        )

    def describe(self) -> tuple[str, ...]:
        """The cells of the variable's line in the printed schema."""
        name = self.name + (f" {list(self.shape)}" if self.shape else "")
        if self.discrete:
            values = join_short([self.format_value(level) for level in self.levels])
        elif self.kind == "real":
            centre = number_text(self.shift, spread=10 * self.scale, digits=4)
            if self.time_kind:
                centre = self.format_value(self.shift)
            elif is_large_integer(self.shift):
                centre = str(self.shift)
            values = f"{centre} ± {self.scale:.3g}{self._spread}"
        else:
            values = f"about {self.scale:.3g}" if self.kind == "positive" else "0, 1, 2, ..."
            values += self._spread
        spikes = ", ".join(self.format_value(spike) for spike in self.spikes)
        resolution = f"{self.resolution:.3g}{self._spread}" if self.resolution else ""
        cells = (name, self.kind, self.family, spikes, resolution, values)
        return tuple(escaped(cell) for cell in cells)

    def format_value(self, value: Any) -> str:
        """A value as text; a time as on a calendar or a clock."""
        if self.time_kind:
            return format_time(value, self.dtype)
        if type(value) is not float:
            return escaped(str(value))
        if self.discrete and not isinstance(self.levels[0], str):
            gap = min(np.diff(sorted(self.levels)), default=0.0)
            return number_text(value, spread=float(gap))
        return number_text(value, spread=self.scale)

    @property
    def numeric(self) -> bool:
        """Whether each cell is one number, which may be a level."""
        return not self.shape and all(type(level) in (int, float) for level in self.levels)

    @property
    def _spread(self) -> str:
        return f" {TIME_DIFFERENCE_UNITS[self.time_kind]}" if self.time_kind else ""


@dataclass(frozen=True)
class Schema:
    """The variables of a table in order, and its container.

    Args:
        variables: the variables, in the order of the data's columns.
        container: the kind of data, one of `CONTAINERS`.
        relations: columns of numbers that are exact combinations of others. Draws obey them.
        bijections: columns of levels that determine each other. Draws obey them, too.

    >>> schema = Schema((Variable("year", "ordinal", levels=(2007, 2008, 2009)),), "pandas")
    >>> schema.variable("year").levels
    (2007, 2008, 2009)
    >>> schema.variable("yaer")
    Traceback (most recent call last):
    ...
    pofx.core.errors.PofxError: no column 'yaer'; did you mean 'year'?
    """

    variables: tuple[Variable, ...]
    container: str
    relations: tuple[Relation, ...] = field(default=(), compare=False)
    bijections: tuple[Bijection, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.container not in CONTAINERS:
            expected = ", ".join(CONTAINERS)
            raise PofxError(f"container: expected one of {expected}, got {shorten(self.container)}")
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise PofxError(f"two columns are named {shorten(twice)}; rename one")
        if self.size > MAX_ENTRIES:
            raise PofxError(f"a row of {self.size} entries; at most {MAX_ENTRIES} are supported")
        for name in {n for relation in self.relations for n in relation.names}:
            if not self.variable(name).numeric:
                raise PofxError(f"relation: expected a column of plain numbers, got {name!r}")
        for bijection in self.bijections:
            for name, codes in zip(bijection.names, zip(*bijection.codes)):
                levels = len(self.variable(name).levels)
                if self.variable(name).shape or not max(codes) < levels:
                    raise PofxError(f"bijection: expected codes of {name!r} below {levels}")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the variables, in the order of the data's columns."""
        return tuple(variable.name for variable in self.variables)

    @property
    def size(self) -> int:
        """The number of entries of a row."""
        return sum(variable.size for variable in self.variables)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """The entries of a row that each variable fills."""
        slices: dict[str, slice] = {}
        start = 0
        for variable in self.variables:
            slices[variable.name] = slice(start, start + variable.size)
            start += variable.size
        return slices

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """One column per entry, in the units of entries."""
        return tuple(v.column for v in self.variables for _ in range(v.size))

    def variable(self, name: str) -> Variable:
        """The variable of that name; PofxError, with the nearest name, if there is none."""
        if name not in self.slices:
            raise unknown_name_error("column", name, self.names)
        return self.variables[self.names.index(name)]

    def select(
        self,
        names: Iterable[str],
        values: Mapping[str, float] = {},
        levels: Mapping[str, int] = {},
    ) -> "Schema":
        """The schema of the variables `names`, in this order.

        Relations and bijections are those given the `values` and the codes of `levels` of others.

        >>> Schema((Variable("a", "real"), Variable("b", "real")), "pandas").select(["b"]).names
        ('b',)
        """
        variables = tuple(self.variable(name) for name in names)
        kept_names = [v.name for v in variables]
        relations = select_relations(self.relations, kept_names, values)
        conditionals = (b.given(levels) for b in self.bijections)
        restricted = (b.restricted_to(kept_names) for b in conditionals if b)
        return Schema(variables, self.container, relations, tuple(b for b in restricted if b))

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON types that `from_json` reads back to an equal schema."""
        record = {"container": self.container, "variables": [asdict(v) for v in self.variables]}
        ties = {"relations": self.relations, "bijections": self.bijections}
        # Omitted if there are none, so that older versions read the file.
        return record | {key: list(map(asdict, items)) for key, items in ties.items() if items}

    @staticmethod
    def from_json(data: object) -> "Schema":
        """The schema that `to_json` wrote; PofxError for anything else. No code is executed.

        >>> schema = Schema((Variable("a", "binary", levels=("no", "yes")),), "polars")
        >>> Schema.from_json(schema.to_json()) == schema
        True
        """
        relations: tuple[Relation, ...] = ()
        bijections: tuple[Bijection, ...] = ()
        if isinstance(data, Mapping):
            relations = read_relations(data.get("relations", ()))
            bijections = read_bijections(data.get("bijections", ()))
            ties = ("relations", "bijections")
            data = {key: value for key, value in data.items() if key not in ties}
        record = _check_fields("schema", data, {"container", "variables"})
        if type(record["variables"]) not in (list, tuple) or type(record["container"]) is not str:
            raise PofxError("schema: expected a list of variables and the name of a container")
        if len(record["variables"]) > MAX_ENTRIES:
            raise PofxError(f"schema: expected at most {MAX_ENTRIES} variables")
        variables = tuple(_read_variable(v) for v in record["variables"])
        return Schema(variables, record["container"], relations, bijections)

    def __str__(self) -> str:
        lines = [HEAD, *(variable.describe() for variable in self.variables)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        return html.table(HEAD, [variable.describe() for variable in self.variables])

    def __repr__(self) -> str:
        return escaped(f"Schema({self.container}: {join_short(list(self.names))})")


def _read_variable(data: object) -> Variable:
    record = _check_fields("variable", data, {f.name for f in fields(Variable)})
    for key in ("shape", "levels", "spikes"):
        if type(record[key]) not in (list, tuple):
            raise PofxError(f"variable: {key}: expected a list, got {shorten(record[key])}")
        record[key] = tuple(record[key])
    return Variable(**record)


def _check_fields(what: str, data: object, expected: set[str]) -> dict[str, Any]:
    if not isinstance(data, Mapping) or set(data) != expected:
        raise PofxError(
            f"{what}: expected fields {', '.join(sorted(expected))}, got {shorten(data)}"
        )
    return dict(data)
