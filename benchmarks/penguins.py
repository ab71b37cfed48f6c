"""The README's penguins: what the default fit compares and chooses, and what is then asked of it.

    python benchmarks/penguins.py [--budget S] [--output FILE]

What is compared within the budget depends on the machine, and so do the last digits.
"""

import argparse
import time
from pathlib import Path

from palmerpenguins import load_penguins
from timing import machine

import pofx

ASKED = (
    "p(species | sex = male)",
    "E[body_mass_g | species = Gentoo]",
    "Q[0.9](bill_length_mm | body_mass_g < 3500)",
    "I(species; bill_length_mm | sex)",
    "P(body_mass_g > 4000 | species = Adelie, sex = ?)",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=60)
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to keep the model")
    a = parser.parse_args()
    df = load_penguins()
    print(machine("pofx", "jax"))
    began = time.perf_counter()
    p = pofx.fit(df, budget=a.budget, progress=False)
    print(f"{time.perf_counter() - began:.1f} s\n{p.report()}\n")
    if a.output:
        p.save(a.output)
    for question in ASKED:
        print(p.ask(question))
    print(p.mutual_information("species", "bill_length_mm", stderr=0.004))


if __name__ == "__main__":
    main()
