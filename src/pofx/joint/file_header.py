"""The header of a model file: its fields, and the only place that checks them."""

import json
import math
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_INTEGER = 2**64
"""Larger than any integer of a table."""

Number = Annotated[float, Field(allow_inf_nan=False)] | None
Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """A JSON object whose fields have exactly their types; further fields are ignored."""

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
    """The header without the tree of the model, which `model_file` builds field by field."""

    format: Annotated[int, Field(ge=1)]
    table_schema: dict[str, Any] = Field(alias="schema")
    fixed: list[Number]
    evidence: list[str]
    fit: dict[str, Any]
    unrelated: list[str] | None = None


def parse_header(text: str) -> dict[str, Any]:
    """The JSON object of a header; ValueError for numbers or texts that no table can hold."""
    header = json.loads(
        text,
        parse_constant=_reject_constant,
        parse_int=_parse_integer,
        parse_float=_parse_float,
    )
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    for string in _strings(header):
        if not string.isascii():
            string.encode()  # halves of surrogate pairs have no place in text
    return header


def check_header(header: dict[str, Any]) -> None:
    """Raises ValueError, one line, for the first field of another type.

    >>> check_header({"format": 1, "schema": {}, "fixed": [], "evidence": ["a = 1", 2], "fit": {}})
    Traceback (most recent call last):
    ...
    ValueError: header: evidence.1: expected a valid string, got 2
    """
    _check_record(Header, header, "header")
    if header["fit"]:  # empty for a model that was not learned
        _check_record(FitRecord, header["fit"], "header: fit")


def _check_record(record: type[Record], value: dict[str, Any], label: str) -> None:
    try:
        record.model_validate(value)
    except ValidationError as error:
        raise one_line_error(error, label) from None


def one_line_error(error: ValidationError, label: str, *field: str) -> ValueError:
    """A ValueError that says in one line what the first mistake is and where it is.

    Args:
        error: what pydantic raised.
        label: what was checked.
        field: names on the way to it, if the error is about a field of what was checked.
    """
    first = error.errors(include_url=False)[0]
    # For alternatives pydantic lists the names of types among the fields.
    loc = [part for part in map(str, first["loc"]) if not re.search(r"[\[(-]", part)]
    place = [*field, *loc]
    expected = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    value = first["input"]
    is_json = value is None or isinstance(value, str | int | float | list | tuple | dict)
    got = " ".join(repr(value).split())[:40] if is_json else f"a {type(value).__name__}"
    if first["type"] == "missing":
        got = "nothing"
    where = ": ".join([label, ".".join(place)] if place else [label])
    return ValueError(f"{where}: expected {expected}, got {got}")


def _strings(value: Any) -> Iterator[str]:
    """All texts in a JSON value, with its keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _reject_constant(constant: str) -> None:
    raise ValueError(f"a number of its header is {constant}")


def _parse_integer(digits: str) -> int:
    if len(digits) > 21 or abs(int(digits)) > MAX_INTEGER:
        raise ValueError(f"a number of its header has {len(digits)} digits")
    return int(digits)


def _parse_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"a number of its header is {digits[:20]}")
    return value
