"""The demo's latent dimension, by five-fold cross-validation on its training part only.

    python benchmarks/digits.py

Accuracy of p(label) p(image | label), p(image | label) a PPCA, with all pixels and with half.
"""

import numpy as np
from timing import machine

import pofx
from pofx.cli.digits import split


def main():
    print(machine("pofx", "jax"))
    train, _ = split()
    fold = np.random.default_rng(0).integers(0, 5, len(train["label"]))
    print(f"{'latent':>8} {'all pixels':>11} {'half of them':>13}")
    for latent in (5, 10, 15, 20, 30):
        right = {"all": [], "half": []}
        for f in range(5):
            learned = {k: v[fold != f] for k, v in train.items()}
            held = {k: v[fold == f] for k, v in train.items()}
            p = pofx.fit(
                learned,
                "class_conditional",
                on="label",
                part="ppca",
                latent=latent,
                schema={"label": "categorical"},
            )
            holes = np.random.default_rng(1).random(held["image"].shape) < 0.5
            for name, image in (
                ("all", held["image"]),
                ("half", np.where(holes, np.nan, held["image"])),
            ):
                right[name].append((p.predict({"image": image}, "label") == held["label"]).mean())
        print(f"{latent:>8} {np.mean(right['all']):>11.3f} {np.mean(right['half']):>13.3f}")


if __name__ == "__main__":
    main()
