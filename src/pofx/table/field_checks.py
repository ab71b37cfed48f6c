"""Checks of the fields of a variable, and short texts of them for messages."""

import sys


def is_finite(value: object) -> bool:
    """Whether a value is a finite int or float, and no bool."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max  # type: ignore[arg-type]


def is_tuple_of(values: object, expected: type) -> bool:
    """Whether it is a tuple of values of a type; for float, of finite numbers."""
    if type(values) is not tuple:
        return False
    return all(is_finite(v) if expected is float else type(v) is expected for v in values)


def are_levels(values: object) -> bool:
    """Whether it is a tuple of distinct values that are all text, all bool or all numbers."""
    alike = any(is_tuple_of(values, kind) for kind in (str, bool, float))
    return alike and isinstance(values, tuple) and len(set(values)) == len(values)


def shorten(value: object) -> str:
    """The repr of a value, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def join_short(texts: list[str], width: int = 60) -> str:
    """The first of the texts, as many as fit into `width` characters, and their number."""
    parts: list[str] = []
    length = 0
    for text in texts:
        length += len(text) + 2
        if length > width and parts:
            return f"{', '.join(parts)}, ... ({len(texts)})"
        parts.append(text if len(text) <= width else text[: width - 3] + "...")
    return ", ".join(parts)
