"""The first half of the tour: a table of mixed types with missing cells."""

from pathlib import Path
from typing import Any

import numpy as np

import pofx
from pofx import plot
from pofx.cli.output import draw, heading, timed
from pofx.core.answer import mean_over_rows
from pofx.core.errors import PofxError
from pofx.report.pictures import write_picture

NUMBERS = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
QUESTIONS = (
    "p(species | bill_length_mm = 45, sex = ?)",
    "P(body_mass_g > 4500, sex = male | species in {Adelie, Chinstrap})",
    "p(body_mass_g | flipper_length_mm = 200)",
    "H(species | island)",
    "I(species; bill_length_mm | sex)",
    "KL(p(bill_length_mm | species = Adelie) || p(bill_length_mm | species = Gentoo))",
)
PAIRED = ("species", "island", "sex", *NUMBERS)


def run(folder: Path) -> list[Path]:
    """Learns p(penguin), asks it, and draws what it answers."""
    try:
        from palmerpenguins import load_penguins
    except ImportError:
        raise PofxError("the demo needs the penguins: pip install 'pofx[demo]'") from None
    data = load_penguins()
    heading("1. Palmer penguins: 344 rows, mixed types, missing cells")
    held = np.random.default_rng(0).random(len(data)) < 0.2
    train, test = data[~held], data[held]
    p = timed("fit", lambda: pofx.fit(train, budget=20))
    base = pofx.fit(train, "independent", schema=p.schema)
    print(f"{p.report()}\n\n{p.schema}")
    _held_out(p, base, test)
    _questions(p, test)
    return [_picture(folder, p, data)]


def _held_out(p: Any, base: Any, test: Any) -> None:
    heading(f"Held-out log-likelihood, {len(test)} penguins never seen")
    for name, model in (("p", p), ("independent columns", base)):
        print(f"{name:>20}: {mean_over_rows(model.log_prob(test))}")
    print(f"{'paired difference':>20}: {pofx.compare(p, base, test)}")


def _questions(p: Any, test: Any) -> None:
    heading("Three penguins that never were")
    draw(p.sample(3, seed=1))
    hole = test[test.sex.isna()].head(1)
    heading("A penguin with a missing cell, and three ways it may have been")
    draw(hole)
    draw(*p.impute(hole, draws=3))
    bird = test.dropna().head(1).copy()
    heading("P(species) as cells vanish")
    for gone in ((), ("island",), ("island", "bill_length_mm", "flipper_length_mm")):
        bird.loc[:, list(gone)] = np.nan
        posterior = p.predict_proba(bird, "species").iloc[0]
        missing = f"without {', '.join(gone)}" if gone else "every cell"
        told = "  ".join(f"{level} {share:.3f}" for level, share in posterior.items())
        print(f"{missing:<52} {told}")
    heading("Questions in the notation of textbooks")
    for text in QUESTIONS:
        print(p.ask(text))
    heading(
        "Decisions, refused where they would cost more than 0.1 mistakes, or the row is strange"
    )
    giant = test.dropna().head(1).assign(body_mass_g=12000)
    for name, rows in ((f"{len(test)} never seen", test), ("a giant of 12 kg", giant)):
        print(f"{name:>20}: {p.decide(rows, 'species', reject_cost=0.1)}")


def _picture(folder: Path, p: Any, data: Any) -> Path:
    drawn, axes = plot.figure(1, 3, size=(4.2, 3.9))
    levels = list(p.schema.variable("species").levels)
    known = data.dropna()
    for ax, rows, title in (
        (axes[0, 0], known, f"{len(known)} penguins"),
        (axes[0, 1], p.sample(len(known), seed=2), f"{len(known)} draws from p(x)"),
    ):
        plot.scatter(ax, rows.bill_length_mm, rows.flipper_length_mm, rows.species, levels)
        ax.set(xlim=(30, 61), ylim=(168, 236), title=title)
        ax.set(xlabel="bill length (mm)", ylabel="flipper length (mm)")
    axes[0, 0].legend(frameon=False, fontsize=8, loc="upper left")
    values = p.mutual_informations(*PAIRED).value
    names = [name.removesuffix("_mm").removesuffix("_g").replace("_", " ") for name in PAIRED]
    plot.matrix(axes[0, 2], values, names, "nats")
    axes[0, 2].set_title("mutual information")
    return write_picture(drawn, folder / "penguins.png")
