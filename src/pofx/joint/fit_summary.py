"""How a model was learned and chosen, in words."""

from collections.abc import Mapping
from typing import Any

from pofx.core import html
from pofx.core.escaping import escaped

HEAD = ("", "held out, nats a row", "gain over the best", "s", "")


class FitSummary:
    """How a model was learned: `fit_info` as data, and its text when printed.

    The leaderboard is in nats per held-out row, in the units of the data. Models of growing size
    form a ladder, the best of which is listed last. Its gain is the paired difference, with its
    standard error, from the best of the ladders before; that of the others, from the best of their
    own ladder. `pofx.write_report` writes a page with pictures.

    >>> import pofx
    >>> p = pofx.fit({"a": [0, 1] * 10}, "independent")
    >>> print(p.report())
    independent on 20 rows: log-likelihood -0.6931 nats a row after 2 steps, converged
    """

    def __init__(self, fit_info: Mapping[str, Any]) -> None:
        self.fit_info = fit_info

    @property
    def leaderboard(self) -> list[dict[str, Any]]:
        """The models compared, ladder by ladder, the best of each last."""
        return list(self.fit_info.get("leaderboard", ()))

    def __str__(self) -> str:
        parts = leaderboard(self.fit_info), summary(self.fit_info)
        return "\n\n".join(part for part in parts if part)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return leaderboard_html(self.fit_info) + html.text(summary(self.fit_info))


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
    return "\n".join(
        [head, *lines, *(f"  warning: {escaped(told)}" for told in fit.get("warnings", ()))]
    )


def named(fit: Mapping[str, Any]) -> str:
    """A model and its options."""
    told = ", ".join(f"{k}={v}" for k, v in fit["options"].items())
    return escaped(f"{fit['model']}({told})" if told else fit["model"])


def leaderboard(fit: Mapping[str, Any]) -> str:
    """The models compared on held-out rows, one a line; empty where there was no choice."""
    head, *lines = _board(fit) or [()]
    if not lines:
        return ""
    width = max(len(name) for name, *_ in lines)
    shown = []
    for name, score, gain, seconds, kept in (head, *lines):
        shown.append(f"{name:>{width}}  {score:>22}  {gain:>20}  {seconds:>6}  {kept}".rstrip())
    return "\n".join([*shown, *_untried(fit)])


def leaderboard_html(fit: Mapping[str, Any]) -> str:
    """The same as a table."""
    head, *lines = _board(fit) or [()]
    told = "".join(map(html.text, _untried(fit)))
    return html.table(head, lines, numbers=(0, 1, 2, 3)) + told if lines else ""


def _board(fit: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The cells of the head and of each line; none where there was no choice."""
    board, budget = fit.get("leaderboard", ()), fit.get("budget")
    within = "" if budget is None else f"within {budget:g} s"
    lines: list[tuple[str, ...]] = [(within, *HEAD[1:])]
    for i, line in enumerate(board):
        gain = f"{_told(line['gain'], '+.4f')} ± {_told(line['gain_stderr'])}" if i else ""
        score = f"{_told(line['log_likelihood'])} ± {_told(line['stderr'])}"
        seconds = f"{line.get('seconds', float('nan')):.1f}"
        lines.append((escaped(line["name"]), score, gain, seconds, "kept" if line["kept"] else ""))
    return lines if board else []


def _untried(fit: Mapping[str, Any]) -> list[str]:
    untried = fit.get("untried")
    return [f"the budget was over before: {escaped(', '.join(untried))}"] if untried else []


def _told(number: float | None, form: str = ".4f") -> str:
    return "?" if number is None else format(number, form)
