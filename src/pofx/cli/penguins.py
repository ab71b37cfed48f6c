"""The first part of the demo: a table of mixed types with missing cells."""

from pathlib import Path
from typing import Any

import numpy as np

import pofx
from pofx import plot
from pofx.cli.output import heading, show_tables, timed
from pofx.core.errors import PofxError
from pofx.core.row_means import mean_over_rows
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
PAIRED_COLUMNS = ("species", "island", "sex", *NUMBERS)


def run(folder: Path) -> list[Path]:
    """Learns p(penguin), prints answers to questions, and returns the pictures."""
    try:
        from palmerpenguins import load_penguins
    except ImportError:
        raise PofxError("the demo needs the penguins: pip install 'pofx[demo]'") from None
    data = load_penguins()
    heading("1. Palmer penguins: 344 rows, mixed types, missing cells")
    held_out = np.random.default_rng(0).random(len(data)) < 0.2
    train, test = data[~held_out], data[held_out]
    p = timed("fit", lambda: pofx.fit(train, budget=20))
    base = pofx.fit(train, "independent", schema=p.schema)
    print(f"{p.report()}\n\n{p.schema}")
    _compare_on_held_out(p, base, test)
    _ask_questions(p, test)
    return [_draw_picture(folder, p, data)]


def _compare_on_held_out(p: Any, base: Any, test: Any) -> None:
    heading(f"Held-out log-likelihood, {len(test)} penguins")
    for name, model in (("p", p), ("independent columns", base)):
        print(f"{name:>20}: {mean_over_rows(model.log_prob(test))}")
    print(f"{'paired difference':>20}: {pofx.compare(p, base, test)}")


def _ask_questions(p: Any, test: Any) -> None:
    heading("Three new penguins")
    show_tables(p.sample(3, seed=1))
    incomplete = test[test.sex.isna()].head(1)
    heading("A penguin with a missing cell, and three imputations")
    show_tables(incomplete)
    show_tables(*p.impute(incomplete, draws=3))
    bird = test.dropna().head(1).copy()
    heading("P(species) with fewer and fewer cells")
    for removed in ((), ("island",), ("island", "bill_length_mm", "flipper_length_mm")):
        bird.loc[:, list(removed)] = np.nan
        posterior = p.predict_proba(bird, "species").iloc[0]
        missing = f"without {', '.join(removed)}" if removed else "every cell"
        probabilities = "  ".join(f"{level} {share:.3f}" for level, share in posterior.items())
        print(f"{missing:<52} {probabilities}")
    heading("Questions in the notation of textbooks")
    for text in QUESTIONS:
        print(p.ask(text))
    heading("Decisions, rejected if they cost more than 0.1 mistakes or the row is an outlier")
    giant = test.dropna().head(1).assign(body_mass_g=12000)
    for name, rows in ((f"{len(test)} held out", test), ("a giant of 12 kg", giant)):
        print(f"{name:>20}: {p.decide(rows, 'species', reject_cost=0.1)}")


def _draw_picture(folder: Path, p: Any, data: Any) -> Path:
    figure, axes = plot.figure(1, 3, size=(4.2, 3.9))
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
    values = p.mutual_informations(*PAIRED_COLUMNS).value
    names = [
        name.removesuffix("_mm").removesuffix("_g").replace("_", " ") for name in PAIRED_COLUMNS
    ]
    plot.matrix(axes[0, 2], values, names, "nats")
    axes[0, 2].set_title("mutual information")
    return write_picture(figure, folder / "penguins.png")
