"""The arguments of written distributions: what their values are, and where a mistake is."""

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from pofx.core.errors import PofxError
from pofx.core.written_numbers import number
from pofx.distributions.gaussians import symmetric
from pofx.notation.definitions import Call, Linear, List, Table, definition_error
from pofx.notation.terms import Name


class Arguments:
    """Reads the values of arguments; an error points at their place in the text.

    Args:
        text: the definitions.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def fail(self, at: int, message: str) -> NoReturn:
        """Raises NotationError that points at a character of the text."""
        raise definition_error(self.text, at, message) from None

    def value(self, value: Any) -> Any:
        """The Python value of an argument: a number, a text, a list or a dict."""
        if isinstance(value, Name):
            return value.text
        if isinstance(value, List):
            return [
                _as_level(self.value(v)) if isinstance(v, Name) else self.value(v)
                for v in value.values
            ]
        if isinstance(value, Table):
            return {_as_level(key): self.value(v) for key, v in value.entries.items()}
        if value.coefficients:
            names = ", ".join(value.coefficients)
            self.fail(value.at, f"expected a number, got a sum with {names}")
        return float(value.constant)

    def linear(self, value: Any, numbers: Sequence[str]) -> Linear:
        if isinstance(value, Name):
            value = Linear(0.0, {value.text: 1.0}, value.at)
        if not isinstance(value, Linear):
            self.fail(value.at, "expected a number or a sum such as 3 + 2 * a")
        for name in value.coefficients:
            if name not in numbers:
                self.fail(value.at, f"{name} is no parent of numbers: expected it after the bar")
        return value

    def moments(
        self, call: Call, d: int, numbers: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The constants and coefficients of the means, and the covariance."""
        at = call.family.at
        values = dict(zip(("mean", "variance"), call.arguments)) | dict(call.named)
        if len(call.arguments) > 2 or set(values) - {"mean", "variance", "sd"}:
            self.fail(at, "expected Normal(mean, variance) or Normal(mean, sd=...)")
        mean = values.get("mean", Linear(0.0, {}, at))
        means = list(mean.values) if isinstance(mean, List) else [mean]
        if len(means) != d:
            self.fail(mean.at, f"Normal: expected {d} means, got {len(means)}")
        rows = [self.linear(value, numbers) for value in means]
        constants = np.array([row.constant for row in rows])
        coefficients = [[row.coefficients.get(name, 0.0) for name in numbers] for row in rows]
        return constants, np.array(coefficients).reshape(d, -1), self._covariance(values, at, d)

    def _covariance(self, values: dict[str, Any], at: int, d: int) -> np.ndarray:
        if "sd" in values and ("variance" in values or d > 1):
            self.fail(at, "Normal: expected a variance or sd=..., for several names a matrix")
        value = self.value(values.get("sd", values.get("variance", Linear(1.0, {}, at))))
        try:
            if d == 1 and not isinstance(value, list):
                variance = number("sd" if "sd" in values else "variance", value, low=0)
                return np.array([[variance**2 if "sd" in values else variance]])
            matrix = np.array(value, np.float64)
            if matrix.shape != (d, d):
                raise PofxError(f"covariance: expected the shape {(d, d)}, got {matrix.shape}")
            return symmetric("covariance", matrix)
        except PofxError as error:
            self.fail(at, f"Normal: {error}")
        except (TypeError, ValueError):
            self.fail(at, "Normal: expected a matrix of numbers as covariance")


def _as_level(text: str) -> Any:
    """A level as its text says: a number if it is one."""
    try:
        return int(text)
    except ValueError:
        return text
