"""Runs a page: its Python in order, what it prints against what it shows, its pictures.

    python docs/run_page.py docs/lecture.md            # checks, with the seconds of each block
    python docs/run_page.py docs/lecture.md --write    # writes output and pictures anew

All blocks share one namespace. The ```text block after a block of Python is what that prints:
words and whole numbers must be the same, other numbers agree to two units of their last digit or
1 %, because machines round differently. A picture `pictures/lecture/NAME.png` is drawn where it
appears, by the function NAME of lecture_figures.py, whose parameters are the page's variables;
without such a function the picture is the figure of the page's last `ax`.
"""

import argparse
import contextlib
import inspect
import io
import re
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

PICTURES = Path(__file__).parent / "pictures" / "lecture"
UNITS, SHARE = 2, Decimal("0.01")
"""By how many units of its last digit, or by what share, a number that is not whole may differ."""
PARTS = re.compile(
    r"```python\n(?P<code>.*?)```(?:\n+```text\n(?P<text>.*?)```)?"
    r"|!\[[^\]]*\]\(pictures/lecture/(?P<picture>\w+)\.png\)",
    re.DOTALL,
)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


class Part(NamedTuple):
    """A block of Python with what it is said to print, or a picture; `line` is where it begins."""

    line: int
    code: str
    text: str | None
    picture: str
    at: re.Match[str]


def parts(page: str) -> Iterator[Part]:
    """The page's blocks and pictures in order."""
    for match in PARTS.finditer(page):
        line = page.count("\n", 0, match.start()) + 1
        groups = match.groupdict()
        yield Part(line, groups["code"] or "", groups["text"], groups["picture"] or "", match)


def differences(shown: str, printed: str) -> list[str]:
    """The lines in which what is printed is not what is shown; see the module.

    >>> differences("KL = 0.123 nats", "KL = 0.124 nats"), differences("3 rows", "4 rows")
    ([], ["shown   '3 rows'", "printed '4 rows'"])
    """
    one, other = shown.splitlines(), printed.splitlines()
    longest = max(len(one), len(other))
    one, other = (lines + [""] * (longest - len(lines)) for lines in (one, other))
    messages = []
    for shown_line, printed_line in zip(one, other):
        if not _same(shown_line.rstrip(), printed_line.rstrip()):
            messages += [f"shown   {shown_line!r}", f"printed {printed_line!r}"]
    return messages


def _same(shown: str, printed: str) -> bool:
    # numpy pads a number by the width of its neighbours.
    one, other = ("".join(NUMBER.sub("#", line).split()) for line in (shown, printed))
    if one != other:
        return False
    return all(map(_near, NUMBER.findall(shown), NUMBER.findall(printed)))


def _near(shown: str, printed: str) -> bool:
    one, other = Decimal(shown), Decimal(printed)
    ends = [number.as_tuple().exponent for number in (one, other)]
    if all(end >= 0 for end in ends if isinstance(end, int)):
        return one == other
    # 0.1 may be 0.0996 as %g writes it: the coarser of the two says what a unit is.
    unit = Decimal(1).scaleb(max(end for end in ends if isinstance(end, int)))
    return abs(one - other) <= max(UNITS * unit, SHARE * abs(one))


def run_code(part: Part, names: dict[str, Any], page: Path) -> str:
    """Runs a block in the page's namespace and returns what it printed."""
    out = io.StringIO()
    # Blank lines before it: a traceback shows the line of the page.
    code = compile("\n" * part.line + part.code, str(page), "exec")
    with contextlib.redirect_stdout(out):
        exec(code, names)
    return out.getvalue()


def draw(picture: str, names: dict[str, Any], folder: Path | None) -> None:
    """Draws a picture from the page's variables, into a folder if there is one."""
    import lecture_figures

    function = getattr(lecture_figures, picture, None)
    if function is None:
        drawn = names["ax"].figure
    else:
        drawn = function(**{k: names[k] for k in inspect.signature(function).parameters})
    where = io.BytesIO() if folder is None else folder / f"{picture}.png"
    drawn.savefig(where, metadata={"Software": None})


def run(page: str, path: Path, *, write: bool = False) -> tuple[str, list[str]]:
    """The page with what its code prints, and the differences from what it shows."""
    names: dict[str, Any] = {"__name__": path.stem}
    wrong: list[str] = []
    new, end = [], 0
    for part in parts(page):
        began = time.perf_counter()
        new.append(page[end : part.at.start()])
        end = part.at.end()
        if part.picture:
            draw(part.picture, names, PICTURES if write else None)
            new.append(part.at.group())
        else:
            printed = run_code(part, names, path)
            messages = differences(part.text or "", printed)
            wrong += [f"{path.name}, line {part.line}:", *messages] if messages else []
            text = f"\n\n```text\n{printed}```" if printed else ""
            new.append(f"```python\n{part.code}```{text}")
        print(
            f"line {part.line:4}  {time.perf_counter() - began:6.1f} s  {part.picture}", flush=True
        )
    return "".join([*new, page[end:]]), wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--write", action="store_true", help="write output and pictures anew")
    arguments = parser.parse_args()
    path, write = arguments.page, arguments.write
    if write:
        PICTURES.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    page, wrong = run(path.read_text(encoding="utf-8"), path, write=write)
    print(f"{time.perf_counter() - began:.0f} s")
    if write:
        path.write_text(page, encoding="utf-8")
        return 0
    print("\n".join(wrong) or "the page prints what it shows")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
