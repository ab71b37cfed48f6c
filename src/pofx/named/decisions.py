"""Actions chosen for rows, what they are expected to cost, and why some were rejected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pofx.core.errors import PofxError, unknown_name_error
from pofx.core.escaping import escaped
from pofx.table.encoding import level_text
from pofx.table.schema import Variable

OUTLIER, UNCERTAIN = "outlier", "uncertain"


@dataclass(frozen=True, eq=False)
class Decisions:
    """One action per row, or a rejection.

    Args:
        target: the column decided on.
        action: None if rejected, NaN for numbers.
        expected_cost: that of the best action, in the units of the costs.
        tail_probability: of the row's log-probability; 1 if it was not computed.
        reason: "outlier" for a row unlike the data learned from, "uncertain" if the best action is
            expected to cost more than a rejection, else "".
    """

    target: str
    action: np.ndarray
    expected_cost: np.ndarray
    tail_probability: np.ndarray
    reason: np.ndarray

    @property
    def rejected(self) -> np.ndarray:
        """Which rows were rejected."""
        return self.reason != ""

    def columns(self) -> dict[str, np.ndarray]:
        """The decisions as a table."""
        return {
            self.target: self.action,
            "expected_cost": self.expected_cost,
            "tail_probability": self.tail_probability,
            "rejected": self.reason,
        }

    def __len__(self) -> int:
        return len(self.action)

    def __repr__(self) -> str:
        reasons = ", ".join(f"{(self.reason == r).sum()} {r}" for r in (OUTLIER, UNCERTAIN))
        rejected = f"{self.rejected.sum()} rejected ({reasons})"
        return f"decisions on {escaped(self.target)} for {len(self)} rows, {rejected}"


def costs(cost: Any, variable: Variable) -> tuple[np.ndarray, np.ndarray]:
    """The actions, and the cost of each if each level is the truth, (actions, levels).

    Args:
        cost: None for 0 for the right level and 1 for another; a matrix with a row for each level
            as an action; or a mapping from actions of any name to costs, in the order of the levels
            or by level.
        variable: the column of levels.

    Raises PofxError for another shape, and for costs that are not finite.

    >>> coin = Variable("coin", "binary", levels=("head", "tail"))
    >>> costs({"bet": {"head": -1, "tail": 1}, "pass": [0, 0]}, coin)[1].tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    levels = variable.levels
    if cost is None:
        return np.array(levels), 1 - np.eye(len(levels))
    if isinstance(cost, Mapping):
        rows = [_by_level(action, row, levels) for action, row in cost.items()]
        actions = np.empty(len(rows), object)
        actions[:] = list(cost)
    else:
        rows, actions = cost, np.array(levels)
    try:
        table = np.asarray(rows, np.float64)
    except (TypeError, ValueError, OverflowError):
        table = np.zeros(0)
    if table.shape != (len(actions), len(levels)) or not len(actions):
        shape = f"shape {table.shape}" if table.size else f"{type(cost).__name__}"
        raise PofxError(
            f"cost: expected a matrix of shape ({len(levels)}, {len(levels)}), an action per row "
            f"and a true level of {variable.name!r} per column ({_first_levels(levels)}), or a "
            f"mapping from actions to such rows; got {shape}"
        )
    if not np.isfinite(table).all():
        raise PofxError("cost: expected finite numbers")
    return actions, table


def _by_level(action: Any, row: Any, levels: Sequence[Any]) -> Any:
    if not isinstance(row, Mapping):
        return row
    # In JSON the keys, and so the levels, are texts.
    names = {level_text(level): level for level in levels}
    by_level = {names.get(level, level): cost for level, cost in row.items()}
    for level in by_level:
        if level not in levels:
            raise unknown_name_error(f"level in the costs of {action!r}:", level, levels)
    missing = [level for level in levels if level not in by_level]
    if missing:
        raise PofxError(f"cost: action {action!r} has no cost for the level {missing[0]!r}")
    return [by_level[level] for level in levels]


def _first_levels(levels: Sequence[Any]) -> str:
    return ", ".join(map(str, levels[:5])) + (", ..." if len(levels) > 5 else "")
