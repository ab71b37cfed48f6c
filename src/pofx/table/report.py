"""How a model was learned and chosen, in words."""

from collections.abc import Mapping
from typing import Any


class Report:
    """What a fit tells of itself: `fit` as data, and printed as text.

    The leaderboard is in nats a row of held-out rows, in the data's units. Models of growing size
    make a ladder, the best of which stands last; its gain is the paired difference, with its
    standard error, from the best of the ladders before, the others' from the best of their own.

    >>> import pofx
    >>> p = pofx.fit({"a": [0, 1] * 10}, "independent")
    >>> print(p.report())
    independent on 20 rows: log-likelihood -0.6931 nats a row after 2 steps, converged
    """

    def __init__(self, fit: Mapping[str, Any]) -> None:
        self.fit = fit

    @property
    def leaderboard(self) -> list[dict[str, Any]]:
        """The models compared, ladder by ladder, the best of each last."""
        return list(self.fit.get("leaderboard", ()))

    def __str__(self) -> str:
        parts = leaderboard(self.fit), summary(self.fit)
        return "\n\n".join(part for part in parts if part)

    __repr__ = __str__


def summary(fit: Mapping[str, Any]) -> str:
    """How the model was learned; empty where nobody knows."""
    if not fit:
        return ""
    missing = f", {100 * fit['missing']:.1f} % of cells missing" if fit["missing"] else ""
    ended = "converged" if fit["converged"] else "not converged"
    parts = fit.get("parts", ())
    went = f"of {len(parts)} parts" if parts else f"after {fit['steps']} steps, {ended}"
    head = (
        f"{named(fit)} on {fit['rows']} rows{missing}: "
        f"log-likelihood {_told(fit['log_likelihood'])} nats a row {went}"
    )
    lines = [f"  {part['weight']:.3f}  {named(part)}" for part in parts]
    return "\n".join([head, *lines, *(f"  warning: {told}" for told in fit.get("warnings", ()))])


def named(fit: Mapping[str, Any]) -> str:
    """A model and its options."""
    told = ", ".join(f"{k}={v}" for k, v in fit["options"].items())
    return f"{fit['model']}({told})" if told else fit["model"]


def leaderboard(fit: Mapping[str, Any]) -> str:
    """The models compared on held-out rows, one a line; empty where there was no choice."""
    board = fit.get("leaderboard", ())
    if not board:
        return ""
    width = max(len(line["name"]) for line in board)
    budget = fit.get("budget")
    within = "" if budget is None else f"within {budget:g} s"
    columns = f"{'held out, nats a row':>22}  {'gain over the best':>20}  {'s':>6}"
    lines = [f"{within:>{width}}  {columns}"]
    for i, line in enumerate(board):
        gain = f"{_told(line['gain'], '+.4f')} ± {_told(line['gain_stderr'])}" if i else ""
        score = f"{_told(line['log_likelihood'])} ± {_told(line['stderr'])}"
        seconds = f"{line.get('seconds', float('nan')):.1f}"
        kept = "kept" if line["kept"] else ""
        told = f"{line['name']:>{width}}  {score:>22}  {gain:>20}  {seconds:>6}  {kept}"
        lines.append(told.rstrip())
    if fit.get("untried"):
        lines.append(f"the budget was over before: {', '.join(fit['untried'])}")
    return "\n".join(lines)


def _told(number: float | None, form: str = ".4f") -> str:
    return "?" if number is None else format(number, form)
