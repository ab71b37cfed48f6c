"""Acts chosen for rows, what they are expected to cost, and why some were refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pofx.core.errors import PofxError, unknown
from pofx.core.escaping import escaped
from pofx.table.encoding import level_text
from pofx.table.schema import Variable

STRANGE, UNSURE = "strange", "unsure"


@dataclass(frozen=True, eq=False)
class Decisions:
    """One act a row, or a refusal.

    `act` holds None where refused (NaN for numbers); `expected_cost` is that of the best act, in
    the units of the costs; `surprise` the tail probability of the row's log-probability among
    fresh draws, 1 where it was not asked; `reason` is "strange" for a row unlike what was learned,
    "unsure" for a posterior too flat for the cost of being wrong, else "".
    """

    target: str
    act: np.ndarray
    expected_cost: np.ndarray
    surprise: np.ndarray
    reason: np.ndarray

    @property
    def refused(self) -> np.ndarray:
        """Which rows were refused."""
        return self.reason != ""

    def columns(self) -> dict[str, np.ndarray]:
        """The decisions as a table."""
        return {
            self.target: self.act,
            "expected_cost": self.expected_cost,
            "surprise": self.surprise,
            "refused": self.reason,
        }

    def __len__(self) -> int:
        return len(self.act)

    def __repr__(self) -> str:
        told = ", ".join(f"{(self.reason == r).sum()} {r}" for r in (STRANGE, UNSURE))
        refused = f"{self.refused.sum()} refused ({told})"
        return f"decisions on {escaped(self.target)} of {len(self)} rows, {refused}"


def costs(cost: Any, variable: Variable) -> tuple[np.ndarray, np.ndarray]:
    """The acts, and the cost of each where each level is the truth, (acts, levels).

    None is 0 for the right level and 1 for another. A matrix has a row for each level as an act. A
    mapping goes from acts of any name to costs, in the order of the levels or by level. Raises
    PofxError for another shape, and for costs that are not finite.

    >>> coin = Variable("coin", "binary", levels=("head", "tail"))
    >>> costs({"bet": {"head": -1, "tail": 1}, "pass": [0, 0]}, coin)[1].tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    levels = variable.levels
    if cost is None:
        return np.array(levels), 1 - np.eye(len(levels))
    if isinstance(cost, Mapping):
        rows = [_by_level(act, row, levels) for act, row in cost.items()]
        acts = np.empty(len(rows), object)
        acts[:] = list(cost)
    else:
        rows, acts = cost, np.array(levels)
    try:
        table = np.asarray(rows, np.float64)
    except (TypeError, ValueError, OverflowError):
        table = np.zeros(0)
    if table.shape != (len(acts), len(levels)) or not len(acts):
        shape = f"shape {table.shape}" if table.size else f"{type(cost).__name__}"
        raise PofxError(
            f"cost: wanted a matrix of shape ({len(levels)}, {len(levels)}), an act a row and a "
            f"true level of {variable.name!r} a column ({_few(levels)}), or a mapping from acts to "
            f"such rows; got {shape}"
        )
    if not np.isfinite(table).all():
        raise PofxError("cost: wanted finite numbers")
    return acts, table


def _by_level(act: Any, row: Any, levels: Sequence[Any]) -> Any:
    if not isinstance(row, Mapping):
        return row
    # JSON knows levels by their text only.
    names = {level_text(level): level for level in levels}
    own = {names.get(level, level): cost for level, cost in row.items()}
    for level in own:
        if level not in levels:
            raise unknown(f"level in the costs of {act!r}:", level, levels)
    missing = [level for level in levels if level not in own]
    if missing:
        raise PofxError(f"cost: act {act!r} has no cost for the level {missing[0]!r}")
    return [own[level] for level in levels]


def _few(levels: Sequence[Any]) -> str:
    return ", ".join(map(str, levels[:5])) + (", ..." if len(levels) > 5 else "")
