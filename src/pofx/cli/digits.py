"""The second part of the demo: images and their labels as one distribution."""

from pathlib import Path
from typing import Any

import numpy as np

import pofx
from pofx import plot
from pofx.cli.output import heading, timed
from pofx.core.row_means import mean_over_rows
from pofx.report.pictures import write_picture

MISSING_SHARES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
LATENT = 15
"""Dimensions, selected by cross-validation on the training part in benchmarks/digits.py."""


def run(folder: Path) -> list[Path]:
    """Learns p(image, label), draws, completes and classifies images; returns the pictures."""
    heading("2. Digits: p(image, label) = p(label) p(image | label)")
    train, test = split()
    p = timed(
        "fit",
        lambda: pofx.fit(
            train,
            "class_conditional",
            on="label",
            part="ppca",
            latent=LATENT,
            schema={"label": "categorical"},
        ),
    )
    print(f"{p.report()}\n{p.schema}")
    return [
        _draw_digits(folder, p),
        _complete_digits(folder, p, test),
        _classify_digits(folder, p, train, test),
    ]


def split() -> tuple[dict[str, Any], dict[str, Any]]:
    """The digits to learn from, and those held out."""
    from sklearn.datasets import load_digits

    pixels, label = load_digits(return_X_y=True)
    image = np.reshape(pixels, (-1, 8, 8))
    held_out = np.random.default_rng(0).random(len(image)) < 0.3
    parts = (~held_out, held_out)
    train, test = ({"image": image[part], "label": label[part]} for part in parts)
    return train, test


def _draw_digits(folder: Path, p: Any) -> Path:
    images = [p.given(label=k).sample(12, seed=k)["image"] for k in range(10)]
    figure, axes = plot.figure(size=(5.2, 4.6))
    plot.image_grid(axes[0, 0], np.stack(images), top=16)
    axes[0, 0].set_title("new digits, one row per p(image | label)", fontsize=9)
    return write_picture(figure, folder / "digits_drawn.png")


def _complete_digits(folder: Path, p: Any, test: dict[str, Any]) -> Path:
    first = [int(np.flatnonzero(test["label"] == k)[0]) for k in range(10)]
    images = test["image"][first]
    halves = images.copy()
    halves[:, 4:] = np.nan
    columns = [images, halves]
    for seed in range(5):
        completed = [p.given(image=half).sample(1, seed=seed)["image"][0] for half in halves]
        columns.append(np.stack(completed))
    figure, axes = plot.figure(size=(3.6, 4.8))
    plot.image_grid(axes[0, 0], np.stack(columns, axis=1), top=16)
    axes[0, 0].set_title("held out | its upper half | five completions", fontsize=8)
    return write_picture(figure, folder / "digits_completed.png")


def _classify_digits(folder: Path, p: Any, train: dict[str, Any], test: dict[str, Any]) -> Path:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    peer = make_pipeline(
        SimpleImputer(keep_empty_features=True), StandardScaler(), LogisticRegression(max_iter=2000)
    )
    flat = {name: part["image"].reshape(-1, 64) for name, part in (("a", train), ("b", test))}
    peer.fit(flat["a"], train["label"])
    correct: dict[str, list[np.ndarray]] = {"p(image, label)": [], "logistic, mean imputed": []}
    for share in MISSING_SHARES:
        missing = np.random.default_rng(1).random(flat["b"].shape) < share
        pixels = np.where(missing, np.nan, flat["b"])
        guesses = p.predict({"image": pixels.reshape(-1, 8, 8)}, "label"), peer.predict(pixels)
        for name, guess in zip(correct, guesses):
            correct[name].append(guess == test["label"])
    heading(f"Accuracy on {len(flat['b'])} held-out digits, by the share of missing pixels")
    print(f"{'pixels missing':>24}  " + "".join(f"{share:>8.0%}" for share in MISSING_SHARES))
    rates = {name: [mean_over_rows(hit) for hit in hits] for name, hits in correct.items()}
    for name, rate in rates.items():
        print(f"{name:>24}  " + "".join(f"{r.value:>8.1%}" for r in rate))
    hits_at_half = (np.asarray(hits[3], float) for hits in correct.values())
    paired = mean_over_rows(np.subtract(*hits_at_half))
    print(f"paired difference at 50 %: {100 * paired.value:.1f} ± {100 * paired.stderr:.1f} %")
    figure, axes = plot.figure(size=(4.4, 3.4))
    lines = {n: ([r.value for r in rate], [r.stderr for r in rate]) for n, rate in rates.items()}
    plot.curves(axes[0, 0], MISSING_SHARES, lines)
    axes[0, 0].set(xlabel="share of pixels missing", ylabel="accuracy", ylim=(0, 1.02))
    axes[0, 0].legend(frameon=False, fontsize=8, loc="lower left")
    return write_picture(figure, folder / "digits_missing.png")
