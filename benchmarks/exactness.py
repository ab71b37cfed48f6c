"""Is what is called exact right? Every kind of answer of every exact model against its true value.

    python benchmarks/exactness.py [MODEL ...] [--shapes SHAPE ...]

Models are fitted to small random tables, ordinary and nasty, and asked in float64 and in float32. A
true value is an enumeration of levels, counts and states, or a Gauss-Legendre integral, of the
density written out from the model's parameters in extended precision (`tests/laws/explicit.py`);
that of a normal block is a Cholesky factor of its own. A cell shows the largest relative error:
of a probability over itself, of a location over the standard deviation, of nats over 1 or more.
Answers that call themselves estimates are left out; "-" is a kind that has none that is exact.
Columns tied too tightly for float32 are answered in float64 on every machine, and so here.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
from timing import machine

from pofx.core import float_width
from pofx.core.errors import PofxError
from pofx.queries.conditioning import needs_float64

# Last, because a folder of the tests is called sklearn.
sys.path.append(str(Path(__file__).parents[1] / "tests"))

from laws import answers, tables

GROUPS = {
    "density": ("log p(x)", "log p, missing cells", "marginal", "conditional"),
    "posterior": ("posterior",),
    "E, Var": ("E", "Var", "impute"),
    "quantile": ("quantile",),
    "mode": ("mode", "most probable"),
    "P(event)": ("P(interval)", "P(level)"),
    "P(| range)": ("P(level | interval)", "P(interval | interval)"),
    "H, I": ("H", "H(a | b)", "I"),
    "KL": ("KL", "KL of equals"),
}
GROUP_OF = {kind: group for group, kinds in GROUPS.items() for kind in kinds}
LIMITS = {"float64": 1e-10, "float32": 1e-5}

Worst = dict[tuple[str, str], tuple[float, str]]


def narrowed(model: Any) -> Any:
    """The model in the width that `fit` leaves it in on an accelerator."""
    return model if needs_float64(model) else float_width.narrowed(model)


def lines(name: str, shape: str, seed: int) -> Iterator[tuple[str, answers.Line]]:
    """The answers of one model in both widths."""
    p = tables.fitted(name, tables.table(name, shape, seed))
    q = tables.fitted(name, tables.table(name, shape, seed + 100), schema=p.schema)
    for digits in LIMITS:
        if digits == "float32":
            p, q = (replace(m, model=narrowed(m.model)) for m in (p, q))
        for line in answers.answers(p, seed, q):
            yield digits, line


def judged(name: str, shapes: tuple[str, ...]) -> tuple[Worst, int]:
    """The largest error in each width and group of kinds, and how many answers were exact."""
    worst: Worst = {}
    count = 0
    for seed, shape in enumerate(shapes):
        try:
            for digits, line in lines(name, shape, seed):
                if line.exact:
                    key, count = (digits, GROUP_OF[line.kind]), count + 1
                    text = f"{shape}: {line.kind}, {line.what}"
                    worst[key] = max(worst.get(key, (0.0, "")), (line.error, text))
        except PofxError as error:
            print(f"  {name}, {shape}: refused, {error}")
        jax.clear_caches()
    return worst, count


def cell(worst: Worst, group: str) -> str:
    values = [worst.get((digits, group)) for digits in LIMITS]
    return " ".join("      -" if v is None else f"{v[0]:7.0e}" for v in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="all by default")
    parser.add_argument("--shapes", nargs="+", metavar="SHAPE")
    a = parser.parse_args()
    print(machine("pofx", "jax"))
    warnings.simplefilter("ignore")
    print("largest relative error of exact answers, in float64 and in float32\n")
    print(f"{'':<30}{'answers':>8} " + "".join(f"{group:>17}" for group in GROUPS))
    beyond = []
    for name in a.models or tables.OPTIONS:
        began = time.perf_counter()
        shapes = tuple(s for s in tables.shapes(name) if s in (a.shapes or tables.shapes(name)))
        worst, count = judged(name, shapes)
        cells = "".join(f"{cell(worst, group):>17}" for group in GROUPS)
        print(f"{name:<30}{count:>8} {cells}   {time.perf_counter() - began:.0f} s", flush=True)
        beyond += [
            f"  {name}, {digits}: {error:.1e} {text}"
            for (digits, _), (error, text) in worst.items()
            if error > LIMITS[digits]
        ]
    print(f"\nbeyond 1e-10 in float64 or 1e-5 in float32: {len(beyond) or 'none'}")
    print("\n".join(beyond))


if __name__ == "__main__":
    main()
