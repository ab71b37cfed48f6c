"""How a model was learned and selected, as text and as HTML."""

from collections.abc import Mapping
from typing import Any

from pofx.core import html
from pofx.core.escaping import escaped

HEADINGS = ("", "held out, nats per row", "gain over the best", "s", "")


class FitSummary:
    """How a model was learned: `fit_info` as data, and its text when printed.

    The leaderboard is in nats per held-out row, in the units of the data. Models of growing size
    form a ladder, the best of which is listed last. The gain of this best model is the paired
    difference, with its standard error, from the best of the ladders before; the gain of another
    model is that from the best of its own ladder. `pofx.write_report` writes a page with pictures.

    >>> import pofx
    >>> p = pofx.fit({"a": [0, 1] * 10}, "independent")
    >>> print(p.report())
    independent on 20 rows: log-likelihood -0.6931 nats per row after 2 steps, converged
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
    """How the model was learned, as text; empty if `fit` is."""
    if not fit:
        return ""
    missing = f", {100 * fit['missing']:.1f} % of cells missing" if fit["missing"] else ""
    convergence = "converged" if fit["converged"] else "not converged"
    parts = fit.get("parts", ())
    steps = f"of {len(parts)} parts" if parts else f"after {fit['steps']} steps, {convergence}"
    first_line = (
        f"{_model_text(fit)} on {fit['rows']} rows{missing}: "
        f"log-likelihood {_number_text(fit['log_likelihood'])} nats per row {steps}"
    )
    part_lines = [f"  {part['weight']:.3f}  {_model_text(part)}" for part in parts]
    warning_lines = [f"  warning: {escaped(text)}" for text in fit.get("warnings", ())]
    return "\n".join([first_line, *part_lines, *warning_lines])


def leaderboard(fit: Mapping[str, Any]) -> str:
    """The models compared on held-out rows, one per line; empty if nothing was compared."""
    head, *rows = _leaderboard_cells(fit) or [()]
    if not rows:
        return ""
    width = max(len(name) for name, *_ in rows)
    lines = []
    for name, score, gain, seconds, kept in (head, *rows):
        lines.append(f"{name:>{width}}  {score:>22}  {gain:>20}  {seconds:>6}  {kept}".rstrip())
    return "\n".join([*lines, *_untried(fit)])


def leaderboard_html(fit: Mapping[str, Any]) -> str:
    """The same as an HTML table."""
    head, *rows = _leaderboard_cells(fit) or [()]
    untried = "".join(map(html.text, _untried(fit)))
    return html.table(head, rows, numbers=(0, 1, 2, 3)) + untried if rows else ""


def _model_text(fit: Mapping[str, Any]) -> str:
    """A model and its options."""
    options = ", ".join(f"{k}={v}" for k, v in fit["options"].items())
    return escaped(f"{fit['model']}({options})" if options else fit["model"])


def _leaderboard_cells(fit: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The headings and the cells of each row; an empty list if nothing was compared."""
    board = fit.get("leaderboard", ())
    budget = fit.get("budget")
    within = "" if budget is None else f"within {budget:g} s"
    lines: list[tuple[str, ...]] = [(within, *HEADINGS[1:])]
    for i, row in enumerate(board):
        gain = f"{_number_text(row['gain'], '+.4f')} ± {_number_text(row['gain_stderr'])}"
        score = f"{_number_text(row['log_likelihood'])} ± {_number_text(row['stderr'])}"
        seconds = f"{row.get('seconds', float('nan')):.1f}"
        kept = "kept" if row["kept"] else ""
        lines.append((escaped(row["name"]), score, gain if i else "", seconds, kept))
    return lines if board else []


def _untried(fit: Mapping[str, Any]) -> list[str]:
    untried = fit.get("untried")
    return [f"the budget ended before: {escaped(', '.join(untried))}"] if untried else []


def _number_text(number: float | None, spec: str = ".4f") -> str:
    return "?" if number is None else format(number, spec)
