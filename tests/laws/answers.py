"""Every kind of exact answer of a named distribution, with the error against its true value."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

import pofx
from pofx.table.encoding import decode, encode, log_scale

from . import explicit_information
from .explicit import Explicit, Grid, explicit

EPS = np.finfo(float).eps


class Line(NamedTuple):
    """One answer: the kind of question, whether it calls itself exact, and its relative error."""

    kind: str
    exact: bool
    error: float
    what: str


class Exam:
    """A named distribution with its explicit density, and rows to ask about."""

    def __init__(self, p: pofx.Joint, seed: int = 0, rows: int = 4):
        self.p, self.e, self.rng = p, explicit(p.model), np.random.default_rng(seed)
        rows_drawn = p.sample(rows, seed=seed)
        self.x = encode(p.schema, rows_drawn)
        self.seen = self.rng.random(self.x.shape) < 0.6
        self.seen[:, 0] |= ~self.seen.any(1)
        self.variables = list(p.schema.variables)
        self.levels = {j: len(v.levels) for j, v in enumerate(self.variables) if v.discrete}
        self.numbers = [j for j in range(len(self.variables)) if j not in self.levels]

    def name(self, j: int) -> str:
        return self.variables[j].name

    def table(self, x: np.ndarray, seen: Any = True) -> Any:
        """Rows in the units of the data; cells outside the mask `seen` are missing."""
        return decode(self.p.schema, np.where(seen, x, np.nan))

    def value(self, j: int, entry: Any) -> Any:
        """An entry in the units of the data."""
        v = self.variables[j]
        return v.levels[int(entry)] if v.discrete else float(entry) * v.scale + v.shift

    def log_prob(self, x: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """The true log-density of the seen cells, in the units of the data."""
        each = [self.e.log_prob(row[None], mask)[0] for row, mask in zip(x, seen)]
        scale = log_scale(self.p.schema, np.where(seen, x, np.nan))
        return np.array(each) - scale.sum(1)

    def evidence(self, row: np.ndarray, columns: Sequence[int]) -> str:
        """The evidence of a question, with the bar in front."""
        words = [f"{self.name(j)} = {_text(self.value(j, row[j]))}" for j in columns]
        return " | " + ", ".join(words) if words else ""


def _text(value: Any) -> str:
    return repr(value) if not isinstance(value, str) else f"'{value}'"


def relative(got: Any, want: Any, least: float = 0.0) -> float:
    """The largest |got - want| relative to |want|, or to `least` if that is larger."""
    got, want = np.asarray(got, np.longdouble), np.asarray(want, np.longdouble)
    same = got == want
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(got - want) / np.maximum(np.abs(want), least)
    error = np.where(same, 0, error)
    return float(np.nan_to_num(error, nan=np.inf, posinf=np.inf).max(initial=0))


def in_nats(got: Any, want: Any) -> float:
    """The error of a logarithm: relative if it is large, else that of the probability."""
    return relative(got, want, 1.0)


def answers(p: pofx.Joint, seed: int = 0, other: pofx.Joint | None = None) -> Iterator[Line]:
    """All kinds of answers about a few rows; with `other`, the divergence from it too."""
    exam = Exam(p, seed)
    for ask in (densities, others, posteriors, moments, events, information, cells):
        yield from ask(exam)
    if other is not None:
        yield from divergences(exam, other)


def densities(a: Exam) -> Iterator[Line]:
    """log p of complete rows, and of rows with missing cells."""
    every = np.ones_like(a.seen)
    for kind, seen in (("log p(x)", every), ("log p, missing cells", a.seen)):
        answer = a.p.log_prob(a.table(a.x, seen))
        yield Line(kind, answer.kind == "exact", in_nats(answer, a.log_prob(a.x, seen)), "")


def others(a: Exam) -> Iterator[Line]:
    """Marginals and conditionals as distributions."""
    d = len(a.variables)
    if d < 3:
        return
    keep = [0, d - 1]
    names = [a.name(j) for j in keep]
    seen = np.isin(np.arange(d), keep) & np.ones_like(a.seen)
    answer = a.p.marginal(*names).log_prob({n: a.table(a.x)[n] for n in names})
    yield Line("marginal", answer.kind == "exact", in_nats(answer, a.log_prob(a.x, seen)), "")
    row, given_columns = a.x[0], [1, d - 1]
    evidence = {a.name(j): a.value(j, row[j]) for j in given_columns}
    q = a.p.given(evidence)
    x = a.x.copy()
    x[:, given_columns] = row[given_columns]
    left = [a.name(j) for j in range(d) if j not in given_columns]
    answer = q.log_prob({n: a.table(x)[n] for n in left})
    before = np.isin(np.arange(d), given_columns)[None]
    want = a.log_prob(x, np.ones_like(a.seen)) - a.log_prob(row[None], before)
    yield Line("conditional", answer.kind == "exact", in_nats(answer, want), f"given {evidence}")


def posteriors(a: Exam) -> Iterator[Line]:
    """Bayes' rule: each level of each target, whatever is missing."""
    for j, count in a.levels.items():
        if count == 1:
            continue
        seen = a.seen.copy()
        seen[:, j] = False
        got = a.p.predict_proba(a.table(a.x, seen), a.name(j))
        got = np.stack([np.asarray(got[str(level)]) for level in a.variables[j].levels], 1)
        want = np.stack([_levels(a, j, row, mask) for row, mask in zip(a.x, seen)])
        # A probability that rounds to zero has no digits to compare.
        yield Line("posterior", True, relative(got, want, 1e-6), a.name(j))


def _levels(a: Exam, j: int, row: np.ndarray, seen: np.ndarray) -> np.ndarray:
    rows = np.repeat(row[None], a.levels[j], 0)
    rows[:, j] = np.arange(a.levels[j])
    both = seen.copy()
    both[j] = True
    log_p = a.e.log_prob(rows, both)
    return np.exp(log_p - np.logaddexp.reduce(log_p))


def moments(a: Exam) -> Iterator[Line]:
    """E, Var, quantiles and mode of a number, alone and given a level and a number."""
    row = a.x[1]
    for j in a.numbers:
        for columns in ([], _evidence(a, j))[j != a.numbers[0] :]:
            grid = a.e.column(j, row, np.isin(np.arange(len(row)), columns))
            yield from _moments(a, j, grid, row, columns)


def _evidence(a: Exam, j: int) -> list[int]:
    """A column of numbers and a column of levels other than column j."""
    numbers = [k for k in a.numbers if k != j][:1]
    return sorted(numbers + [k for k in a.levels if k != j][:1])


def _moments(
    a: Exam, j: int, grid: Grid, row: np.ndarray, columns: Sequence[int]
) -> Iterator[Line]:
    name, bar, v = a.name(j), a.evidence(row, columns), a.variables[j]
    sd = np.sqrt(grid.variance())
    mean = a.p.ask(f"E[{name}{bar}]")
    want = grid.mean() * v.scale + v.shift
    # A difference below the resolution of float64 is no error.
    error = max(abs(float(mean) - want) - 4 * EPS * abs(want), 0) / (sd * v.scale)
    yield Line("E", mean.kind == "exact", float(error), f"E[{name}{bar}]")
    answer = a.p.ask(f"Var[{name}{bar}]")
    error = relative(float(answer), grid.variance() * v.scale**2)
    yield Line("Var", answer.kind == "exact", error, f"Var[{name}{bar}]")
    seen = np.isin(np.arange(len(row)), columns)
    for u in (0.02, 0.6):
        text = f"Q[{u}]({name}{bar})"
        answer = a.p.ask(text)
        at = (float(answer) - v.shift) / v.scale
        slack = 4 * EPS * abs(float(answer)) / v.scale + 1e-13 * float(sd)
        cdf = a.e.column(j, row, seen, (at - slack, at + slack))
        below, upto = cdf.inside(-np.inf, at - slack), cdf.inside(-np.inf, at + slack)
        if len(cdf.x) and v.kind == "count":
            below = cdf.p[cdf.x < at - 0.5].sum()
        error = max(u - upto, below - u, 0) / min(u, 1 - u)
        yield Line("quantile", answer.kind == "exact", float(error), text)
    answer = a.p.ask(f"mode({name}{bar})")
    if answer.kind == "exact":
        at = np.array([(float(answer.values[name]) - v.shift) / v.scale])
        rows = np.repeat(row[None], 1, 0)
        rows[:, j] = at
        both = seen.copy()
        both[j] = True
        here = a.e.log_prob(rows, both)[0] - a.e.log_prob(row[None], seen)[0]
        masses = np.isin(grid.x, [p for part in a.e.parts for p in _points(part, j)])
        top = grid.log_density[masses].max() if masses.any() else grid.log_density.max()
        yield Line("mode", True, float(max(top - here, 0)) / max(1, abs(top)), f"mode({name}{bar})")


def _points(part: Any, j: int) -> np.ndarray:
    return part.laws[j].points if j in part.laws else np.zeros(0)


def events(a: Exam) -> Iterator[Line]:
    """P of intervals and levels, alone and given values or intervals."""
    row = a.x[2]
    for j in a.numbers:
        columns = _evidence(a, j)
        for low, high in _intervals(a, j):
            yield _event(a, row, {j: (low, high)}, columns, {}, "P(interval)")
            for k in [*a.levels][-1:]:
                yield _event(a, row, {k: _at(row[k])}, [], {j: (low, high)}, "P(level | interval)")
            for k in [k for k in a.numbers if k != j][:1]:
                inside = {k: _intervals(a, k)[0]}
                text = "P(interval | interval)"
                yield _event(a, row, {j: (low, high)}, [], inside, text)
    for j in a.levels:
        yield _event(a, row, {j: _at(row[j])}, _evidence(a, j), {}, "P(level)")


def _at(code: float) -> tuple[float, float]:
    return code - 0.5, code + 0.5


def _intervals(a: Exam, j: int) -> list[tuple[float, float]]:
    """One interval in the middle, and one far out."""
    x = np.sort(a.x[:, j])
    grid = a.e.column(j, a.x[0], np.zeros(len(a.variables), bool))
    sd = float(np.sqrt(grid.variance()))
    far = float(grid.mean()) + 5 * sd
    ends = [(float(x[0]) - 0.3 * sd, float(x[2])), (far, far + 2 * sd)]
    if a.variables[j].kind == "count":
        return [(float(np.floor(low)), float(np.ceil(high))) for low, high in ends]
    # A question converts to the units of the data and back.
    v = a.variables[j]
    there = [tuple((e * v.scale + v.shift - v.shift) / v.scale for e in pair) for pair in ends]
    if v.kind == "positive":
        # A point mass at 0 may be the upper end.
        there = [(max(low, 1e-3 * sd), max(high, 0.3 * sd)) for low, high in there]
    return there


def _condition(a: Exam, j: int, ends: tuple[float, float]) -> str:
    if j in a.levels:
        return f"{a.name(j)} = {_text(a.value(j, round(sum(ends) / 2)))}"
    low, high = (a.value(j, e) for e in ends)
    return f"{low!r} < {a.name(j)} <= {high!r}"


def _ends(a: Exam, j: int, ends: tuple[float, float]) -> tuple[float, float]:
    """The interval after conversion to text and back."""
    v = a.variables[j]
    if j in a.levels or v.kind == "count":
        return ends
    low, high = ((a.value(j, e) - v.shift) / v.scale for e in ends)
    return low, high


def _event(
    a: Exam,
    row: np.ndarray,
    event: dict[int, tuple[float, float]],
    columns: Sequence[int],
    inside: dict[int, tuple[float, float]],
    kind: str,
) -> Line:
    after = [f"{a.name(j)} = {_text(a.value(j, row[j]))}" for j in columns]
    after += [_condition(a, j, ends) for j, ends in inside.items()]
    text = ", ".join(_condition(a, j, ends) for j, ends in event.items())
    text = f"P({text}{' | ' if after else ''}{', '.join(after)})"
    answer = a.p.ask(text)
    if answer.kind != "exact":
        return Line(kind, False, 0.0, text)
    seen = np.isin(np.arange(len(row)), columns)
    event = {j: _ends(a, j, ends) for j, ends in event.items()}
    inside = {j: _ends(a, j, ends) for j, ends in inside.items()}
    want = a.e.box(row, seen, {**event, **inside}) / a.e.box(row, seen, inside)
    return Line(kind, True, relative(float(answer), want, 1e-30), text)


def information(a: Exam) -> Iterator[Line]:
    """Entropies and mutual informations that call themselves exact."""
    d = len(a.variables)
    sets = [[j] for j in range(d)] + [[0, d - 1], list(range(d))]
    values = {}
    for s in sets:
        answer = a.p.entropy(*[a.name(j) for j in s])
        values[tuple(s)] = want = _entropy(a, s)
        yield _informed("H", answer, want, s)
    for one, both in ((0, [0, d - 1]),):
        answer = a.p.mutual_information(a.name(one), a.name(both[1]))
        parts = values[(one,)], values[(both[1],)], values[tuple(both)]
        want = None if None in parts else parts[0] + parts[1] - parts[2]
        yield _informed("I", answer, want, both)
        answer = a.p.entropy(a.name(one), given=a.name(both[1]))
        want = None if None in parts else parts[2] - parts[1]
        yield _informed("H(a | b)", answer, want, both)


def _entropy(a: Exam, s: Sequence[int]) -> Any:
    value = explicit_information.entropy(a.e, s, a.levels)
    if value is None:
        return None
    for j in s:
        v = a.variables[j]
        if v.kind in ("real", "positive"):
            grid = a.e.column(j, a.x[0], np.zeros(len(a.variables), bool))
            points = [p for part in a.e.parts for p in _points(part, j)]
            value = value + np.log(v.scale) * grid.p[~np.isin(grid.x, points)].sum()
    return value


def _informed(kind: str, answer: Any, want: Any, s: Any) -> Line:
    exact = answer.kind == "exact"
    if want is None:
        # The true value is neither a sum nor an integral, so no answer may be exact.
        return Line(kind, exact, np.inf if exact else 0.0, str(s))
    return Line(kind, exact, in_nats(float(answer), want) if exact else 0.0, str(s))


def divergences(a: Exam, other: pofx.Joint) -> Iterator[Line]:
    """KL from another distribution of the same columns, and from itself."""
    every = list(range(len(a.variables)))
    itself = a.p.ask("KL(p || q)", q=a.p)
    yield Line("KL of equals", itself.kind == "exact", abs(float(itself)), "KL(p || p)")
    q = explicit(other.model)
    for s in (every, [0]):
        names = ", ".join(a.name(j) for j in s)
        answer = a.p.ask(f"KL(p({names}) || q({names}))", q=other)
        want = explicit_information.kl(a.e, q, s, a.levels)
        yield _informed("KL", answer, want, s)


def cells(a: Exam) -> Iterator[Line]:
    """Conditional means in missing cells, and the most probable row."""
    got = encode(a.p.schema, a.p.impute(a.table(a.x, a.seen)), unseen="missing")
    for row, seen, new in zip(a.x, a.seen, got):
        for j in np.flatnonzero(~seen):
            if a.variables[j].kind in ("real", "positive"):
                grid = a.e.column(j, row, seen)
                slack = 4 * EPS * abs(a.value(j, new[j])) / a.variables[j].scale
                error = max(abs(new[j] - grid.mean()) - slack, 0) / np.sqrt(grid.variance())
                yield Line("impute", True, float(error), a.name(j))
    completed = encode(a.p.schema, a.p.most_probable(a.table(a.x, a.seen)), unseen="missing")
    for row, seen, new in zip(a.x, a.seen, completed):
        want = max(best(a.e, row, seen))
        here = a.e.joint(new[None], np.ones(len(row), bool)).max()
        yield Line("most probable", True, float(max(want - here, 0) / max(1, abs(want))), str(seen))


def best(e: Explicit, row: np.ndarray, seen: np.ndarray) -> Iterator[Any]:
    """max over x_M of log p(k, x_M, x_O), for each part k whose missing columns are smooth."""
    weights = e.joint(row[None], np.zeros(len(row), bool))[0]
    for part, weight in zip(e.parts, weights):
        x = np.asarray(row, np.longdouble).copy()
        for j, law in part.laws.items():
            if not seen[j]:
                x[j] = _mode(law)
        missing = [i for i, j in enumerate(part.place) if not seen[j]]
        for i in missing:
            law = part.law(part.place[i], x, seen)
            x[part.place[i]] = law.centre
        if missing and any(part.logs):
            x = _log_modes(part, x, seen, missing)
        yield part.log_prob(x[None], np.ones(len(row), bool))[0] + weight


def _mode(law: Any) -> Any:
    if len(law.points):
        return law.points[law.log_mass.argmax()]
    if law.family is not None:
        shape, scale = law.family.args[0], law.family.kwds["scale"]
        return (shape - 1) * scale
    return np.exp(law.centre - law.spread**2) if law.logs else law.centre


def _log_modes(part: Any, x: np.ndarray, seen: np.ndarray, missing: list[int]) -> np.ndarray:
    """The mode of a block with log-normal columns: each given the others, until they converge."""
    both = seen.copy()
    for i in missing:
        j = part.place[i]
        x[j] = np.exp(x[j]) if part.logs[i] else x[j]
    both[[part.place[i] for i in missing]] = True
    for _ in range(200):
        for i in missing:
            j = part.place[i]
            law = part.law(j, x, both)
            x[j] = _mode(law)
    return x
