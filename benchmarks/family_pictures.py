"""The pictures of the family in docs/pictures/family: two moons, and scikit-learn's digits.

    python benchmarks/family_pictures.py [moons] [samples] [completions] [classes] [denoising]

Each figure takes some minutes on two cores. Pixels of 17 grey levels get uniform noise of one
level, for densities (Theis, van den Oord and Bethge, "A note on the evaluation of generative
models", 2016).
"""

import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import make_moons

import pofx
from pofx.cli.digits import split
from pofx.plot import COLOURS, figure, image_grid

FOLDER = Path(__file__).parent.parent / "docs" / "pictures" / "family"
INK, DATA, GREYS = "#404040", "#BFBFBF", 17
SMALL = {"fontsize": 8, "color": INK}

# -- what is learned, each once


@cache
def moons() -> dict[str, np.ndarray]:
    x = np.asarray(make_moons(2000, noise=0.07, random_state=0)[0])
    return {"x": x[:, 0], "y": x[:, 1]}


@cache
def moon_model(name: str, **options) -> pofx.Joint:
    return pofx.fit(moons(), name, **options)


@cache
def digits() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Digits to learn from and digits never seen, their levels spread by noise."""
    rng = np.random.default_rng(0)
    parts = split()
    for part in parts:
        part["image"] = part["image"] + rng.random(part["image"].shape)
    return parts


@cache
def digit_model(name: str, **options) -> pofx.Joint:
    """A model of images; `labels` of images with their labels."""
    train, _ = digits()
    labels = options.pop("labels", False)
    data = train if labels else {"image": train["image"]}
    schema = {"label": "categorical"} if labels else None
    return pofx.fit(data, name, schema=schema, **options)


def any_order() -> pofx.Joint:
    """Images and labels, any entries given any others."""
    return digit_model("any_order", labels=True, width=512, components=4, epochs=300)


def diffusion() -> pofx.Joint:
    return digit_model("diffusion", labels=True, on="label", width=256, epochs=600)


def exact() -> pofx.Joint:
    """A mixture of Gaussians of low rank, whose conditionals are closed."""
    return digit_model("mixture", components=20, part="ppca", latent=8, restarts=1, steps=60)


def autoencoder() -> pofx.Joint:
    return digit_model("vae", latent=16, width=256, epochs=150)


def inner(p: pofx.Joint) -> Any:
    """The model without its proposal."""
    model: Any = p.model
    return model.model


def shades(images: np.ndarray) -> np.ndarray:
    """Grey levels again, from 0 to 16."""
    return np.clip(np.floor(images), 0, GREYS - 1)


# -- figures


def draw_moons() -> None:
    """Data, density, energy, the bent grid, and draws of each model."""
    flow, energy = moon_model("flow", width=64), moon_model("neural_energy")
    data = moons()
    drawn, axes = figure(2, 5, (1.75, 1.5))
    side, up = np.linspace(-1.6, 2.6, 141), np.linspace(-1.1, 1.6, 91)
    grid = dict(zip("xy", (a.ravel() for a in np.meshgrid(side, up))))

    def over(ax, values, **more):
        ax.contourf(side, up, values.reshape(len(up), len(side)), 24, **more)

    axes[0, 0].scatter(data["x"], data["y"], s=1, color=INK, linewidths=0)
    axes[0, 0].set_title("data", **SMALL)
    over(axes[0, 1], np.exp(flow.log_prob(grid).value), cmap="Blues")
    axes[0, 1].set_title("p(x) of the flow", **SMALL)
    bent_grid(axes[0, 2], flow)
    axes[0, 2].set_title("where it bends a normal's grid", **SMALL)
    height = -energy.log_prob(grid).value
    over(axes[0, 3], np.minimum(height, height.min() + 14), cmap="Blues_r")
    axes[0, 3].set_title("neural energy, in nats", **SMALL)
    others = {
        "flow": flow,
        "neural energy": energy,
        "autoregressive": moon_model("autoregressive"),
        "any order": moon_model("any_order"),
        "autoencoder": moon_model("vae", latent=2, warmup=1000),
        "diffusion": moon_model("diffusion"),
    }
    for ax, (name, p) in zip([axes[0, 4], *axes[1]], others.items()):
        some = p.sample(2000, seed=1)
        ax.scatter(some["x"], some["y"], s=1, color=COLOURS[0], linewidths=0)
        ax.set_title(f"draws: {name}", **SMALL)
    for ax in axes.flat:
        ax.set(xlim=(-1.6, 2.6), ylim=(-1.1, 1.6), xticks=[], yticks=[], aspect="equal")
        ax.spines[:].set_color(DATA)
    save(drawn, "moons")


def bent_grid(ax, p: pofx.Joint) -> None:
    """Lines of the normal numbers that a flow starts from, as the flow bends them."""
    flow, along = inner(p), np.linspace(-3, 3, 400)
    shift, scale = np.array([units(p, name) for name in "xy"]).T

    def bent(z):
        x = jax.vmap(lambda z: flow.bijection.inverse(z, jnp.zeros(0)))(jnp.asarray(z, jnp.float32))
        return (np.asarray(flow.shift + jnp.exp(flow.log_scale) * x)) * scale + shift

    for at in np.linspace(-2.5, 2.5, 11):
        still = np.full_like(along, at)
        for line, colour in (((still, along), COLOURS[0]), ((along, still), COLOURS[5])):
            ax.plot(*bent(np.stack(line, 1)).T, color=colour, linewidth=0.5, alpha=0.8)


def draw_samples() -> None:
    """Digits that each model of the family draws, beside digits of the data."""
    _, test = digits()
    models = {
        "mixture": exact(),
        "autoregressive": digit_model("autoregressive", width=512, components=4),
        "any order": any_order().marginal("image"),
        "flow": digit_model("flow", kind="coupling", width=256),
        "autoencoder": autoencoder(),
        "diffusion": diffusion().marginal("image"),
        "Boltzmann machine": digit_model("rbm", hidden=256, epochs=300),
        "neural energy": digit_model("neural_energy", width=256),
    }
    rows = {"data": test["image"][:16]}
    rows |= {name: p.sample(16, seed=1)["image"] for name, p in models.items()}
    drawn, axes = figure(size=(5.6, 3.0))
    image_grid(axes[0, 0], shades(np.stack(list(rows.values()))), top=GREYS - 1)
    for i, name in enumerate(rows):
        axes[0, 0].text(-1, 9 * i + 4.5, name, ha="right", va="center", **SMALL)
    save(drawn, "samples")


def draw_completions() -> None:
    """Lower halves given upper ones, several draws each."""
    _, test = digits()
    first = [int(np.flatnonzero(test["label"] == k)[3]) for k in range(10)]
    images = test["image"][first]
    half = np.where(np.arange(8)[:, None] < 4, images, np.nan)
    drawn, axes = figure(1, 3, (2.3, 4.3))
    models = {
        "mixture, exact": exact(),
        "any order": any_order().marginal("image"),
        "autoencoder": autoencoder(),
    }
    for ax, (name, p) in zip(axes[0], models.items()):
        filled = [t["image"] for t in p.impute({"image": half}, draws=4, seed=0)]
        shown = np.stack([images, half, *filled], 1)
        shown = np.where(np.isnan(shown), np.nan, shades(shown))
        image_grid(ax, shown, top=GREYS - 1)
        ax.set_title(f"{name}\nseen | given | four draws", **SMALL)
    save(drawn, "completions")


def draw_classes() -> None:
    """Draws of each digit, given its label."""
    drawn, axes = figure(1, 2, (2.9, 3.4))
    parts = {"components": 8, "part": "ppca", "latent": 6, "restarts": 1, "steps": 60}
    models = {
        "p(label) times mixtures, exact": digit_model(
            "class_conditional", labels=True, on="label", **{**parts, "part": "mixture.ppca"}
        ),
        "diffusion, told the label": diffusion(),
    }
    for ax, (name, p) in zip(axes[0], models.items()):
        images = [p.given(label=k).sample(8, seed=k)["image"] for k in range(10)]
        image_grid(ax, shades(np.stack(images)), top=GREYS - 1)
        ax.set_title(name, **SMALL)
        for k in range(10):
            ax.text(-1, 9 * k + 4.5, str(k), ha="right", va="center", **SMALL)
    save(drawn, "classes")


def draw_denoising() -> None:
    """Noise that becomes digits, one of each label, as the diffusion takes it off."""
    p = diffusion()
    model, shown = inner(p), [0, 16, 22, 26, 29, 32, 36, 44, 64]
    place, shift, scale = p.schema.slices["image"], *units(p, "image")
    keys = jax.random.split(jax.random.key(3), 10)
    trails = np.asarray(jax.vmap(lambda key, k: trail(model, key, k))(keys, jnp.arange(10.0)))
    images = (trails[:, shown][..., place] * scale + shift).reshape(10, len(shown), 8, 8)
    drawn, axes = figure(size=(3.6, 4.2))
    image_grid(axes[0, 0], shades(images), top=GREYS - 1)
    axes[0, 0].set_title("from noise to p(image | label): the diffusion's way", **SMALL)
    for k in range(10):
        axes[0, 0].text(-1, 9 * k + 4.5, str(k), ha="right", va="center", **SMALL)
    save(drawn, "denoising")


def trail(model, key, label, steps: int = 64):
    """Rows along the probability flow from noise, z(φ - δ) = cos δ z - sin δ v(z)."""
    start, last = jax.random.split(key)
    d, row = model.denoiser, jnp.zeros(model.size).at[model.context.context_columns[0]].set(label)
    condition = jnp.append(model.context.split(row)[1], 1)

    def step(z, i):
        t, s = (i + 1) / steps, i / steps
        turn = d.angle(t) - d.angle(s)
        z = jnp.cos(turn) * z - jnp.sin(turn) * d(z, t, condition, 0.0)
        return z, z

    z = jax.random.normal(start, (d.codes.size,))
    _, along = jax.lax.scan(step, z, jnp.arange(steps)[::-1])
    trajectory = jnp.concatenate([z[None], along])
    return jax.vmap(lambda z: model.context.with_x(row, d.codes.sample(last, z)))(trajectory)


def units(p: pofx.Joint, name: str) -> tuple[float, float]:
    """Shift and scale of a variable's entries."""
    variable = p.schema.variable(name)
    return variable.shift, variable.scale


def save(drawn, name: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    drawn.savefig(FOLDER / f"{name}.png", dpi=150)


FIGURES = {
    "moons": draw_moons,
    "samples": draw_samples,
    "completions": draw_completions,
    "classes": draw_classes,
    "denoising": draw_denoising,
}


def main() -> None:
    warnings.simplefilter("ignore", pofx.PofxWarning)
    for name in sys.argv[1:] or FIGURES:
        FIGURES[name]()


if __name__ == "__main__":
    main()
