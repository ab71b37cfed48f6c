"""What the header of a model file holds: its schema, and the only place that checks it."""

import json
import math
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_INTEGER = 2**64
"""Beyond any integer of a table."""

Number = Annotated[float, Field(allow_inf_nan=False)] | None
Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """A JSON object: each field of its type, none converted; further fields are left alone."""

    model_config = ConfigDict(strict=True, extra="ignore")


class PartRecord(Record):
    """A model in a stack."""

    model: str
    options: dict[str, Any]
    weight: Number


class LeaderboardRecord(Record):
    """A model that was compared with others."""

    name: str
    log_likelihood: Number
    stderr: Number
    gain: Number
    gain_stderr: Number
    kept: bool
    seconds: Number = None


class FitRecord(Record):
    """How the model was learned."""

    model: str
    options: dict[str, Any]
    parts: list[PartRecord] = []
    rows: Count
    missing: Annotated[float, Field(ge=0, le=1)] | None
    log_likelihood: Number
    steps: Count
    history: list[Number]
    converged: bool
    skipped: Count = 0
    warnings: list[str] = []
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    seed: int
    budget: Number = None
    untried: list[str] = []
    leaderboard: list[LeaderboardRecord]


class Header(Record):
    """The header without the tree of the model, which is built field by field from its classes."""

    format: Annotated[int, Field(ge=1)]
    table_schema: dict[str, Any] = Field(alias="schema")
    fixed: list[Number]
    evidence: list[str]
    fit: dict[str, Any]
    unrelated: list[str] | None = None


def parse(text: str) -> dict[str, Any]:
    """The JSON object of a header; ValueError for numbers or texts that no table holds."""
    header = json.loads(text, parse_constant=_refuse, parse_int=_integer, parse_float=_finite)
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    for string in _strings(header):
        if not string.isascii():
            string.encode()  # halves of surrogate pairs have no place in text
    return header


def check(header: dict[str, Any]) -> None:
    """ValueError in one line for the first field of another type.

    >>> check({"format": 1, "schema": {}, "fixed": [], "evidence": ["a = 1", 2], "fit": {}})
    Traceback (most recent call last):
    ...
    ValueError: header: evidence.1: expected a valid string, got 2
    """
    _check(Header, header, "header")
    if header["fit"]:  # empty for a model that was not learned
        _check(FitRecord, header["fit"], "header: fit")


def _check(record: type[Record], value: dict[str, Any], what: str) -> None:
    try:
        record.model_validate(value)
    except ValidationError as error:
        raise explained(error, what) from None


def explained(error: ValidationError, what: str, *field: str) -> ValueError:
    """The first mistake in one line that says where it is."""
    first = error.errors(include_url=False)[0]
    # Of alternatives the names of types stand there too.
    loc = [part for part in map(str, first["loc"]) if not re.search(r"[\[(-]", part)]
    place = [*field, *loc]
    expected = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    value = first["input"]
    named = value is None or isinstance(value, str | int | float | list | tuple | dict)
    got = " ".join(repr(value).split())[:40] if named else f"a {type(value).__name__}"
    if first["type"] == "missing":
        got = "nothing"
    where = ": ".join([what, ".".join(place)] if place else [what])
    return ValueError(f"{where}: expected {expected}, got {got}")


def _strings(value: Any) -> Iterator[str]:
    """All texts in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _refuse(constant: str) -> None:
    raise ValueError(f"a number of its header is {constant}")


def _integer(digits: str) -> int:
    if len(digits) > 21 or abs(int(digits)) > MAX_INTEGER:
        raise ValueError(f"a number of its header has {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"a number of its header is {digits[:20]}")
    return value
