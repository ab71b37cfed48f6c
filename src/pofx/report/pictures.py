"""Pictures from the command line: which there are, what each needs, and their files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pofx import plot
from pofx.core.atomic_write import write_atomically
from pofx.core.errors import PofxError, unknown_name_error
from pofx.joint.joint import Joint
from pofx.joint.loading import load
from pofx.plot.evidence import probabilities_of
from pofx.table.encoding import encode, parse_value
from pofx.table.frames.files import read

FORMATS = (".png", ".pdf", ".svg")
COUNTS = ("no column", "one column", "two columns")


@dataclass(frozen=True)
class Asked:
    """What a picture is drawn from."""

    p: Any = None
    names: Sequence[str] = ()
    data: Any = None
    given: Mapping[str, Any] = field(default_factory=dict)
    target: Any = None
    at: Sequence[Any] = ()
    unit: str = "nats"
    seed: int = 0

    @property
    def conditional(self) -> Joint:
        """p(rest | given)."""
        return self.p.given(self.given) if self.given else self.p


@dataclass(frozen=True)
class Picture:
    """How one is drawn, from how many names, what else it needs and what it may take."""

    draw: Callable[[Asked], Any]
    names: tuple[int, float] = (0, 0)
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


def _marginal(a: Asked) -> Any:
    return plot.marginal(a.p, a.names[0], a.data, given=a.given, seed=a.seed)


def _pair(a: Asked) -> Any:
    one, other = a.names
    return plot.pair(a.p, one, other, a.data, given=a.given, slices=a.at, seed=a.seed)


def _information(a: Asked) -> Any:
    return plot.information(a.conditional, a.names or None, unit=a.unit, seed=a.seed)


def _evidence(a: Asked) -> Any:
    return plot.evidence(a.p, a.target, a.given, a.names or None)


def _images(a: Asked) -> Any:
    by = a.names[1] if len(a.names) > 1 else None
    return plot.images(a.conditional, a.names[0], by=by, seed=a.seed)


def _reliability(a: Asked) -> Any:
    codes = encode(a.p.schema.select([a.target]), a.data, unseen="missing")[:, 0]
    known = ~np.isnan(codes)
    if not known.any():
        raise PofxError(f"--data: no row has a known {a.target!r} to compare with")
    told = probabilities_of(a.p.predict_proba(a.data, a.target, unseen="missing"))
    return plot.reliability(told[known], codes[known].astype(int))


PICTURES = {
    "marginal": Picture(_marginal, (1, 1), takes=("data", "given")),
    "pair": Picture(_pair, (2, 2), takes=("data", "given", "at")),
    "information": Picture(_information, (0, float("inf")), takes=("given", "unit")),
    "evidence": Picture(_evidence, (0, float("inf")), needs=("target", "given")),
    "images": Picture(_images, (1, 2), takes=("given",)),
    "learning_curve": Picture(lambda a: plot.learning_curve(a.p)),
    "tail_probability": Picture(
        lambda a: plot.tail_probability(a.p, a.data, seed=a.seed), needs=("data",)
    ),
    "reliability": Picture(_reliability, needs=("data", "target")),
    "bernoulli_entropy": Picture(lambda a: plot.bernoulli_entropy(unit=a.unit), takes=("unit",)),
}
"""What `pofx plot` draws, by name."""


def draw(
    model: Any,
    what: str,
    names: Sequence[str] = (),
    *,
    output: str | Path,
    data: Any = None,
    given: Mapping[str, Any] | None = None,
    target: str | None = None,
    at: Sequence[Any] = (),
    unit: str | None = None,
    seed: int = 0,
) -> Path:
    """Draws one of `PICTURES` from a model, or the path of its file, into a .png, .pdf or .svg.

    `data` is a table or the path of one, `given` and `at` hold values or the texts of values. The
    file is written whole or not at all, the same bytes for equal arguments. Raises PofxError for an
    unknown picture, what it lacks or has no use for, and a file that cannot be written.
    """
    if what not in PICTURES:
        raise unknown_name_error("picture", what, PICTURES)
    output = Path(output)
    if output.suffix.lower() not in FORMATS:
        raise PofxError(f"{output}: expected a file {', '.join(FORMATS)}, got {output.suffix!r}")
    options = {"data": data, "given": given, "target": target, "at": at, "unit": unit}
    told = {k: v for k, v in options.items() if v is not None and (k == "data" or len(v))}
    _check(what, names, told)
    if what == "bernoulli_entropy":
        return write_picture(PICTURES[what].draw(Asked(**told)).figure, output)
    p = load(model) if isinstance(model, str | Path) else model
    for name in names:
        p.schema.variable(name)
    if isinstance(data, str | Path):
        told["data"] = read(data, p.schema)
    told["given"] = {k: _value(p, k, v) for k, v in (given or {}).items()}
    told["at"] = [_value(p, names[0], v) for v in at]
    ax = PICTURES[what].draw(Asked(p=p, names=list(names), seed=seed, **told))
    return write_picture(ax.figure, output)


def _check(what: str, names: Sequence[str], told: Mapping[str, Any]) -> None:
    """Raises PofxError where a picture lacks something, or has no use for it."""
    picture = PICTURES[what]
    least, most = picture.names
    if not least <= len(names) <= most:
        expected = " or ".join(COUNTS[int(n)] for n in dict.fromkeys([least, most]))
        raise PofxError(f"plot {what}: expected {expected}, got {', '.join(names) or 'none'}")
    for option in picture.needs:
        if option not in told:
            raise PofxError(f"plot {what}: expected --{option}")
    for option in told:
        if option not in picture.needs + picture.takes:
            raise PofxError(f"plot {what}: has no use for --{option}")


def _value(p: Joint, name: str, value: Any) -> Any:
    return parse_value(p.schema.variable(name), value) if isinstance(value, str) else value


def write_picture(figure: Any, output: Path) -> Path:
    """A file without the date and the random names that would tell equal pictures apart."""
    import matplotlib

    kind = output.suffix.lower().removeprefix(".")
    dated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
    with matplotlib.rc_context({"svg.hashsalt": "pofx"}):
        write_atomically(output, lambda file: figure.savefig(file, format=kind, metadata=dated))
    return output
