"""The pictures of `pofx plot`: what each needs, and how it is written to a file."""

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
COUNT_TEXTS = ("no column", "one column", "two columns")


@dataclass(frozen=True)
class PictureRequest:
    """What a picture is drawn from.

    Args:
        p: the distribution.
        names: columns to draw.
        data: rows to compare with.
        given: evidence, by name.
        target: the column that is predicted.
        at: values at which a pair of columns is sliced.
        unit: "nats" or "bits".
        seed: of draws.
    """

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
        """p(other columns | given)."""
        return self.p.given(self.given) if self.given else self.p


@dataclass(frozen=True)
class Picture:
    """A kind of picture.

    Args:
        draw: the function that draws it and returns axes.
        names: the minimum and the maximum number of columns.
        needs: further arguments that it needs.
        takes: further arguments that it may have.
    """

    draw: Callable[[PictureRequest], Any]
    names: tuple[int, float] = (0, 0)
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


def _marginal(a: PictureRequest) -> Any:
    return plot.marginal(a.p, a.names[0], a.data, given=a.given, seed=a.seed)


def _pair(a: PictureRequest) -> Any:
    one, other = a.names
    return plot.pair(a.p, one, other, a.data, given=a.given, slices=a.at, seed=a.seed)


def _information(a: PictureRequest) -> Any:
    return plot.information(a.conditional, a.names or None, unit=a.unit, seed=a.seed)


def _evidence(a: PictureRequest) -> Any:
    return plot.evidence(a.p, a.target, a.given, a.names or None)


def _images(a: PictureRequest) -> Any:
    by = a.names[1] if len(a.names) > 1 else None
    return plot.images(a.conditional, a.names[0], by=by, seed=a.seed)


def _reliability(a: PictureRequest) -> Any:
    codes = encode(a.p.schema.select([a.target]), a.data, unseen="missing")[:, 0]
    known = ~np.isnan(codes)
    if not known.any():
        raise PofxError(f"--data: no row has a known {a.target!r} to compare with")
    probabilities = probabilities_of(a.p.predict_proba(a.data, a.target, unseen="missing"))
    return plot.reliability(probabilities[known], codes[known].astype(int))


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
"""The pictures of `pofx plot`, by name."""


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
    """Draws one of `PICTURES` into a file, with the same bytes for equal arguments.

    Args:
        model: a distribution, or the path of its file.
        what: the name of the picture.
        names: columns to draw.
        output: the file to write, .png, .pdf or .svg; either it is complete or it is not written.
        data: a table, or the path of one.
        given: evidence, values or the texts of values.
        target: the column that is predicted.
        at: values, or their texts, at which a pair of columns is sliced.
        unit: "nats" or "bits".
        seed: of draws.

    Raises PofxError for an unknown picture, for arguments that it lacks or cannot use, and for a
    file that cannot be written.
    """
    if what not in PICTURES:
        raise unknown_name_error("picture", what, PICTURES)
    output = Path(output)
    if output.suffix.lower() not in FORMATS:
        raise PofxError(f"{output}: expected a file {', '.join(FORMATS)}, got {output.suffix!r}")
    options = {"data": data, "given": given, "target": target, "at": at, "unit": unit}
    arguments = {k: v for k, v in options.items() if v is not None and (k == "data" or len(v))}
    _check_arguments(what, names, arguments)
    if what == "bernoulli_entropy":
        return write_picture(PICTURES[what].draw(PictureRequest(**arguments)).figure, output)
    p = load(model) if isinstance(model, str | Path) else model
    for name in names:
        p.schema.variable(name)
    if isinstance(data, str | Path):
        arguments["data"] = read(data, p.schema)
    arguments["given"] = {k: _value(p, k, v) for k, v in (given or {}).items()}
    arguments["at"] = [_value(p, names[0], v) for v in at]
    request = PictureRequest(p=p, names=list(names), seed=seed, **arguments)
    return write_picture(PICTURES[what].draw(request).figure, output)


def _check_arguments(what: str, names: Sequence[str], arguments: Mapping[str, Any]) -> None:
    """Raises PofxError for arguments that a picture lacks or cannot use."""
    picture = PICTURES[what]
    minimum, maximum = picture.names
    if not minimum <= len(names) <= maximum:
        expected = " or ".join(COUNT_TEXTS[int(n)] for n in dict.fromkeys([minimum, maximum]))
        raise PofxError(f"plot {what}: expected {expected}, got {', '.join(names) or 'none'}")
    for option in picture.needs:
        if option not in arguments:
            raise PofxError(f"plot {what}: expected --{option}")
    for option in arguments:
        if option not in picture.needs + picture.takes:
            raise PofxError(f"plot {what}: has no use for --{option}")


def _value(p: Joint, name: str, value: Any) -> Any:
    return parse_value(p.schema.variable(name), value) if isinstance(value, str) else value


def write_picture(figure: Any, output: Path) -> Path:
    """Writes a figure to a file, without the date and random names in which files would differ.

    Returns the path of the file.
    """
    import matplotlib

    kind = output.suffix.lower().removeprefix(".")
    dated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
    with matplotlib.rc_context({"svg.hashsalt": "pofx"}):
        write_atomically(output, lambda file: figure.savefig(file, format=kind, metadata=dated))
    return output
