"""The lecture's two pictures, computed: why p(x, y) rather than p(y | x) alone.

    python benchmarks/generative_against_discriminative.py FOLDER

`noise.png`: on scikit-learn's digits, a noise of a few grey levels, found by the gradient of a
logistic regression, turns its sure answer; p(x) falls by many nats, and p(x, y) rejects the row.
`regions.png`: decision regions of p(y | x) beside those of p(x, y) over a plane of two measurements
of the Palmer penguins; far away p(y | x) is sure and p(x, y) rejects. Both models learn from the
same rows; what is printed is measured on rows that neither saw.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap, to_rgb
from palmerpenguins import load_penguins
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from timing import machine

import pofx
from pofx.cli.digits import LATENT, split
from pofx.plot import COLOURS, MARKERS, figure

NOISE, SURE, OUTLIER_LEVEL = 2, 0.99, 0.01
"""Grey levels of 16 that a pixel may move; what counts as sure; the tail probability rejected."""
AXES = ("bill_length_mm", "bill_depth_mm")


def noise(folder):
    """A noise that turns a sure answer of a discriminative classifier."""
    train, test = split()
    held = np.random.default_rng(1).random(len(train["label"])) < 0.2
    judge = {k: v[held] for k, v in train.items()}
    train = {k: v[~held] for k, v in train.items()}
    flat = {k: v["image"].reshape(len(v["image"]), -1) for k, v in (("a", train), ("b", test))}
    rival = LogisticRegression(max_iter=10_000, tol=1e-6).fit(flat["a"], train["label"])
    p = pofx.fit(
        train,
        "class_conditional",
        on="label",
        part="factor_analysis",
        latent=LATENT,
        schema={"label": "categorical"},
    )
    image, label = flat["b"], test["label"]
    before = rival.predict_proba(image)
    sure = (before.max(1) > SURE) & (before.argmax(1) == label)
    runner = np.argsort(before, 1)[:, -2]
    # The steepest way from the answer to the runner-up is the same at every pixel's sign.
    way = np.sign(rival.coef_[runner] - rival.coef_[before.argmax(1)])
    moved = np.clip(image + NOISE * way, 0, 16)
    after = rival.predict_proba(moved)
    turned = sure & (after.argmax(1) != label)
    shape = (-1, *test["image"].shape[1:])
    marginal = p.marginal("image")
    plain, noisy = ({"image": rows.reshape(shape)} for rows in (image, moved))
    fall = np.asarray(marginal.log_prob(plain)) - np.asarray(marginal.log_prob(noisy))
    plain_decisions, noisy_decisions = (
        p.decide(rows, "label", reject_cost=0.05, outlier_level=OUTLIER_LEVEL, reference=judge)
        for rows in (plain, noisy)
    )
    print(f"digits: {len(label)} test images, noise of {NOISE} of 16 grey levels per pixel")
    print(
        f"  logistic regression: {(before.argmax(1) == label).mean():.1%} right, "
        f"{sure.sum()} of them with p > {SURE}; the noise turns {turned.sum()} of these, "
        f"{(after.max(1) > SURE)[turned].mean():.0%} to a wrong answer with p > {SURE}"
    )
    print(f"  p(x) falls by {np.median(fall[turned]):.0f} nats (median of the turned)")
    for name, d in (("as they are", plain_decisions), ("with noise", noisy_decisions)):
        right = d.action[~d.rejected] == label[~d.rejected]
        print(
            f"  p(x, y), {name}: {d.rejected.mean():.1%} rejected "
            f"({(d.reason == 'outlier').mean():.1%} outliers, "
            f"{(d.reason == 'uncertain').mean():.1%} uncertain), "
            f"{right.mean():.1%} of the others right"
        )
    print(f"  of the turned: {noisy_decisions.rejected[turned].mean():.1%} rejected")
    best = np.flatnonzero(turned & (noisy_decisions.reason == "outlier"))
    pick = best[np.argsort(-after.max(1)[best])][:3]
    drawn, axes = figure(len(pick), 3, (2.6, 2.75))
    for row, i in zip(axes, pick):
        for ax, pixels, title in zip(
            row,
            (image[i], moved[i] - image[i], moved[i]),
            (
                f"p({label[i]} | x) = {before[i].max():.3f}",
                f"noise, at most {NOISE} of 16",
                f"p({after[i].argmax()} | x) = {after[i].max():.3f}",
            ),
        ):
            limits = (-NOISE * 4, NOISE * 4) if title.startswith("noise") else (0, 16)
            ax.imshow(pixels.reshape(shape[1:]), cmap="Greys", vmin=limits[0], vmax=limits[1])
            ax.set_title(title, fontsize=9)
            ax.set_xticks([])
            ax.set_yticks([])
        row[0].set_xlabel("discriminative: sure, right", fontsize=8)
        row[2].set_xlabel(
            f"sure, wrong; log p(x) falls by {fall[i]:.0f} nats:\nrejected as an outlier "
            f"(tail probability {noisy_decisions.tail_probability[i]:.1g})",
            fontsize=8,
        )
    drawn.savefig(folder / "noise.png")


def regions(folder):
    """Decision regions of p(y | x) beside those of p(x, y)."""
    data = load_penguins()[["species", *AXES]].dropna()
    held = np.random.default_rng(0).random(len(data)) < 0.25
    train, test = data[~held], data[held]
    rival = make_pipeline(StandardScaler(), LogisticRegression()).fit(
        train[list(AXES)].to_numpy(), train["species"]
    )
    p = pofx.fit(
        train,
        "class_conditional",
        on="species",
        part="gaussian",
        schema=dict.fromkeys(AXES, "real"),
    )
    x, y = np.linspace(20, 75, 221), np.linspace(8, 28, 201)
    plane = {a: v.ravel() for a, v in zip(AXES, np.meshgrid(x, y))}
    species = sorted(data["species"].unique())
    answers = rival.predict_proba(np.stack(list(plane.values()), 1))
    frame = type(data)(plane)
    decided = p.decide(frame, "species", reject_cost=0.1, outlier_level=OUTLIER_LEVEL)
    sure = (answers.max(1) > 0.9).reshape(len(y), len(x))
    print(f"penguins: {len(test)} test rows, {', '.join(AXES)}")
    test_decisions = p.decide(test, "species", reject_cost=0.1, outlier_level=OUTLIER_LEVEL)
    right = (test_decisions.action == test.species)[~test_decisions.rejected]
    print(
        f"  logistic regression {rival.score(test[list(AXES)].to_numpy(), test.species):.1%} "
        f"right; p(x, y) {right.mean():.1%} right if it answers, "
        f"{test_decisions.rejected.mean():.1%} rejected"
    )
    print(
        f"  over the plane: p(y | x) sure (> 0.9) on {sure.mean():.0%}, "
        f"p(x, y) answers on {(~decided.rejected).mean():.0%}"
    )
    drawn, axes = figure(1, 2, (4.4, 3.9))
    code = answers.argmax(1).astype(float).reshape(len(y), len(x))
    code[~sure] = 3
    other = np.full(len(decided), 3.0)
    for i, name in enumerate(species):
        other[decided.action == name] = i
    other[decided.reason == "outlier"] = 4
    colours = [0.45 * np.array(to_rgb(c)) + 0.55 for c in COLOURS[:3]] + [[1.0] * 3, [0.8] * 3]
    for ax, values, title in zip(
        axes[0],
        (code, other.reshape(len(y), len(x))),
        ("p(species | x), logistic regression", "p(x, species), a Gaussian per species"),
    ):
        ax.pcolormesh(
            x, y, values, cmap=ListedColormap(colours), vmin=-0.5, vmax=4.5, rasterized=True
        )
        for name, colour, marker in zip(species, COLOURS, MARKERS):
            mine = train[train.species == name]
            ax.scatter(
                *(mine[a] for a in AXES),
                s=9,
                color=colour,
                marker=marker,
                linewidths=0.3,
                edgecolors="white",
                label=name,
            )
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("bill_length_mm (mm)")
        ax.set_xlim(x[0], x[-1])
        ax.set_ylim(y[0], y[-1])
    axes[0][0].set_ylabel("bill_depth_mm (mm)")
    axes[0][0].legend(fontsize=7, loc="lower left")
    axes[0][0].text(
        0.98,
        0.97,
        "white: below 0.9",
        transform=axes[0][0].transAxes,
        ha="right",
        va="top",
        fontsize=8,
    )
    axes[0][1].text(
        0.98,
        0.97,
        "white: rejected, uncertain\ngrey: rejected, outlier",
        transform=axes[0][1].transAxes,
        ha="right",
        va="top",
        fontsize=8,
    )
    drawn.savefig(folder / "regions.png")


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    print(machine("pofx", "scikit-learn"))
    noise(folder)
    regions(folder)
    print(f"pictures in {folder}")


if __name__ == "__main__":
    main()
