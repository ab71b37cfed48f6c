"""The pictures of docs/lecture.md: a function for each, of the page's variables, to a figure."""

import warnings
from typing import Any

import numpy as np

import pofx
from pofx import plot
from pofx.plot import COLOURS, MARKERS, figure

LINES = ("-", "--", "-.", ":")
GREY, INK = "#BFBFBF", "#404040"


def curve(ax: Any, q: pofx.Joint, name: str, x: np.ndarray, scale: float = 1, **style: Any) -> Any:
    """scale · q(name) along x, and its values."""
    y = scale * np.exp(np.asarray(q.marginal(name).log_prob({name: x})))
    ax.plot(x, y, **style)
    return y


def bare(ax: Any) -> Any:
    """The axes without a frame above and on the right."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def legend(ax: Any, **more: Any) -> None:
    """A small legend without a frame."""
    ax.legend(**{"frameon": False, "fontsize": 8, "title_fontsize": 8, **more})


def species_points(ax: Any, df: Any, x: str, y: str, **more: Any) -> None:
    """Penguins by species."""
    for (name, birds), colour, marker in zip(df.groupby("species"), COLOURS, MARKERS):
        style = {"s": 12, "linewidths": 0, "alpha": 0.6, **more}
        ax.scatter(birds[x], birds[y], color=colour, marker=marker, label=name, **style)


def distributions(table: Any, mass: Any, density: Any, between: Any) -> Any:
    drawn, ((left, right),) = figure(1, 2, (3.9, 3.1))
    names, heights = table.levels[0], table.probabilities
    left.bar(names, heights, color=COLOURS[: len(names)], width=0.6)
    for i, height in enumerate(heights):
        left.text(i, height + 0.01, f"{height:.2f}", ha="center", fontsize=8)
    left.set(ylabel="probability p(species)", ylim=(0, 0.52), title="heights add up to 1")
    right.plot(mass, 1e3 * density, color=COLOURS[0])
    style = {"color": COLOURS[0], "alpha": 0.3, "linewidth": 0}
    right.fill_between(mass[between], 1e3 * density[between], **style)
    share = density[between].sum() * (mass[1] - mass[0])
    right.text(4480, 0.1, f"{share:.2f}", ha="center", fontsize=10)
    right.set(xlim=(2300, 6800), ylim=(0, None), xlabel="body_mass_g = x (g)")
    right.set(ylabel="density p(x) (per kg)", title="the area is 1")
    for ax in (left, right):
        bare(ax).title.set_size(10)
    return drawn


def two_variables(p: Any, df: Any) -> Any:
    a, b, cuts = "bill_length_mm", "flipper_length_mm", (40, 50)
    drawn, axes = figure(2, 2, (3.1, 2.4))
    grid = axes[0, 0].get_gridspec()
    grid.set_width_ratios([2.6, 1])
    grid.set_height_ratios([1, 2.6])
    (top, none), (middle, side) = axes
    none.set_axis_off()
    x, y = np.linspace(30, 60, 160), np.linspace(165, 238, 160)
    mesh = np.meshgrid(x, y)
    q = p.marginal(a, b)
    height = np.exp(q.log_prob({a: mesh[0].ravel(), b: mesh[1].ravel()}).value).reshape(160, 160)
    middle.contourf(*mesh, height, np.linspace(0.02, 1, 9) * height.max(), cmap="Blues")
    middle.plot(df[a], df[b], "o", color=INK, markersize=2, alpha=0.4, markeredgewidth=0)
    curve(top, p, a, x, color=COLOURS[0])
    flat = np.exp(np.asarray(p.marginal(b).log_prob({b: y})))
    side.plot(flat, y, color=COLOURS[0], label="p(y)")
    for value, colour, line in zip(cuts, (COLOURS[1], COLOURS[5]), LINES[1:]):
        conditional = p.given({a: value}).marginal(b)
        density = np.exp(np.asarray(conditional.log_prob({b: y})))
        style = {"color": colour, "linestyle": line}
        side.plot(density, y, label=f"p(y | x = {value})", **style)
        middle.axvline(value, **style)
    middle.set(xlabel=f"x = {a} (mm)", ylabel=f"y = {b} (mm)", xlim=(30, 60), ylim=(165, 238))
    middle.text(31, 233, "p(x, y)", fontsize=10)
    top.set(xlim=(30, 60), ylim=(0, None), xticklabels=[], ylabel="p(x)\n(per mm)")
    side.set(ylim=(165, 238), xlim=(0, None), yticklabels=[], xlabel="per mm")
    handles, labels = side.get_legend_handles_labels()
    none.legend(handles, labels, frameon=False, fontsize=8, loc="center")
    for ax in (top, middle, side):
        bare(ax)
    return drawn


def simpson(df: Any) -> Any:
    a, b = "bill_length_mm", "bill_depth_mm"
    drawn, ((ax,),) = figure(1, 1, (5, 3.5))
    known = df.dropna(subset=[a, b])
    species_points(ax, known, a, b)
    groups = [("all", known, INK, "--")]
    groups += [(n, birds, c, "-") for (n, birds), c in zip(known.groupby("species"), COLOURS)]
    for _, birds, colour, line in groups:
        slope, level = np.polyfit(birds[a], birds[b], 1)
        ends = np.array([birds[a].min(), birds[a].max()])
        ax.plot(ends, level + slope * ends, line, color=colour, linewidth=2)
    ax.plot([], [], "--", color=INK, label="all penguins")
    ax.set(xlabel="bill_length_mm (mm)", ylabel="bill_depth_mm (mm)", ylim=(12.8, 22.4))
    legend(bare(ax), ncols=4, loc="upper center", columnspacing=1, handletextpad=0.4)
    return drawn


def bayes(p: Any, table: Any, prior: Any, bird: Any) -> Any:
    drawn, ((left, right),) = figure(1, 2, (4.3, 4.1))
    x = np.linspace(32, 58, 300)
    for name, share, colour, line in zip(table.levels[0], prior, COLOURS, LINES):
        likelihood = p.given(species=name)
        style = {"color": colour, "linestyle": line}
        curve(left, likelihood, "bill_length_mm", x, share, label=name, **style)
        height = curve(left, likelihood, "bill_length_mm", np.array([45.0]), share, alpha=0)[0]
        left.plot(45, height, "o", color=colour)
    left.axvline(45, color=INK, linewidth=0.8, linestyle=":")
    left.set(xlabel="x = bill_length_mm (mm)", ylabel="p(x | species) p(species), per mm")
    left.set(ylim=(0, 0.08), title="posterior at 45 mm: shares of the three heights")
    legend(left, loc="upper right")
    left.title.set_size(9)
    plot.evidence(p, "species", bird, list(bird), ax=right)
    bare(left)
    return drawn


def entropies(p: Any) -> Any:
    drawn, ((ax,),) = figure(1, 1, (6.4, 2.5))

    def bar(y: float, left: float, text: str, colour: str) -> float:
        width = float(p.ask(text))
        ax.barh(y, width, 0.8, left, color=colour, edgecolor="white", linewidth=2)
        light = colour in (COLOURS[4], COLOURS[1])
        label = f"{text}\n{width:.2f}"
        style = {"ha": "center", "va": "center", "fontsize": 8}
        ax.text(left + width / 2, y, label, color="black" if light else "white", **style)
        return left + width

    bar(3, 0, "H(species, island)", INK)
    after = bar(2, 0, "H(species)", COLOURS[0])
    bar(2, after, "H(island | species)", COLOURS[4])
    before = bar(1, 0, "H(species | island)", COLOURS[4])
    bar(1, before, "H(island)", COLOURS[2])
    bar(0, before, "I(species; island)", COLOURS[1])
    ax.set(xlabel="nats", yticks=[], xlim=(0, None))
    ax.spines[["top", "right", "left"]].set_visible(False)
    return drawn


def two_divergences(x: Any, log_p: Any, means: Any, sds: Any, forward: Any, reverse: Any) -> Any:
    drawn, ((ax,),) = figure(1, 1, (5.2, 3.1))
    x, height = x.ravel(), np.exp(log_p).ravel()
    ax.fill_between(x, height, color=GREY, alpha=0.6, linewidth=0, label="p, two humps")
    kinds = (("KL(p || q): covers", forward), ("KL(q || p): picks one", reverse))
    for (name, cost), colour, line in zip(kinds, COLOURS, LINES):
        i, j = np.unravel_index(cost.argmin(), cost.shape)
        z = (x - means[i, 0]) / sds[j]
        q = np.exp(-0.5 * z**2) / (sds[j] * np.sqrt(2 * np.pi))
        ax.plot(x, q, color=colour, linestyle=line, label=f"q of least {name}")
    ax.set(xlim=(-9, 9), ylim=(0, 0.6), xlabel="x", ylabel="density (per unit of x)")
    legend(bare(ax), loc="upper left")
    return drawn


def shown(ax: Any, images: np.ndarray, title: str, **more: Any) -> None:
    """Rows of images, of shape (rows, columns, 8, 8), from 0 to 16."""
    plot.image_grid(ax, images, top=16, **more)
    ax.set_title(title, fontsize=9)


def missing(accuracy: Any, image: Any, label: Any, test: Any) -> Any:
    drawn, ((left, right),) = figure(1, 2, (3.3, 3.2))
    left.get_gridspec().set_width_ratios([0.62, 1])
    some = image[test][[int(np.flatnonzero(label[test] == k)[0]) for k in (0, 3, 5, 8)]]
    holes = np.random.default_rng(1).random((*some.shape, 1))
    cells = [np.where(holes[..., 0] < share, np.nan, some) for share in accuracy]
    shown(left, np.stack(cells), "missing pixels are blue")
    step = cells[0].shape[-1] + 1
    left.set_axis_on()
    places = [step * i + step / 2 for i in range(len(accuracy))]
    left.set_yticks(places, [f"{share:.0%}" for share in accuracy], fontsize=8)
    left.set_xticks([])
    left.tick_params(length=0)
    left.spines[:].set_visible(False)
    n = int(test.sum())
    by_model = np.array(list(accuracy.values())).T
    names = ("p(x, y), holes integrated out", "logistic regression, holes at their mean")
    lines = {name: (y, np.sqrt(y * (1 - y) / n)) for name, y in zip(names, by_model)}
    plot.curves(right, [100 * share for share in accuracy], lines)
    right.set(xlabel="pixels missing (%)", ylabel=f"accuracy on {n} digits", ylim=(0, 1.02))
    legend(right, loc="lower left")
    return drawn


def generated(digits: Any, half: Any, completed: Any) -> Any:
    drawn, ((left, right),) = figure(1, 2, (3.6, 3.5))
    images = [digits.given(label=k).sample(10, seed=1)["image"] for k in range(10)]
    shown(left, np.stack(images), "p(image | label), a row a label")
    rows = np.concatenate([half[None], completed[:9]]).reshape(2, 5, 8, 8)
    shown(right, rows, "p(image | upper half): the half, then nine draws")
    return drawn


def side(side: Any, depth: Any, echo: Any) -> Any:
    drawn, ((left, right),) = figure(1, 2, (3.8, 3))
    left.plot(depth, echo, "o", color=GREY, markersize=2, markeredgewidth=0)
    left.set(xlabel="depth = x", ylabel="echo = y", xlim=(-0.02, 1.02), ylim=(-1.4, 1.4))
    left.set_title("2000 rows", fontsize=9)
    y = np.linspace(-1.4, 1.4, 300)
    for value, colour, line in zip((0.1, 0.4, 0.8), COLOURS, LINES):
        density = np.exp(np.asarray(side.log_prob({"depth": np.full(300, value), "echo": y})))
        density /= density.sum() * (y[1] - y[0])
        style = {"color": colour, "linestyle": line}
        left.axvline(value, **style)
        right.plot(y, density, label=f"p(y | x = {value})", **style)
    right.set(xlabel="echo = y", ylabel="density (per unit of y)", ylim=(0, None))
    right.set_title("the flow, given each depth", fontsize=9)
    legend(right, loc="upper right")
    for ax in (left, right):
        bare(ax)
    return drawn


def learning(flips: Any, theta: Any, log_likelihood: Any, mix: Any, kilos: Any, paths: Any) -> Any:
    drawn, ((coin, em, sgd),) = figure(1, 3, (3.5, 3.2))
    coin.plot(theta, log_likelihood, color=COLOURS[0])
    best = log_likelihood.argmax()
    coin.plot(theta[best], log_likelihood[best], "o", color=COLOURS[0])
    coin.axvline(flips.mean(), color=INK, linewidth=0.8, linestyle=":")
    coin.set(xlabel="θ = p(head)", ylabel="log-likelihood (nats)", ylim=(-20, -4))
    coin.set_title("closed form: the share of heads", fontsize=9)
    history = np.array(mix.fit_info["history"])
    em.plot(np.arange(len(history)), history, color=COLOURS[0])
    em.set(xlabel="step of EM", ylabel="log-likelihood (nats per row)")
    em.set_title("EM: no step goes down", fontsize=9)
    mean, log_sd = np.meshgrid(np.linspace(2.8, 5, 90), np.linspace(-0.55, 0.85, 90))
    z = (kilos[:, None, None] - mean) / np.exp(log_sd)
    height = -(0.5 * z**2).mean(0) - log_sd
    levels = height.max() - np.array([2, 1, 0.5, 0.2, 0.05, 0.01])
    sgd.contour(mean, log_sd, height, levels, colors=GREY, linewidths=0.8, linestyles="-")
    for (batch, path), colour in zip(paths.items(), (COLOURS[1], COLOURS[0], INK)):
        style: dict[str, Any] = {"color": colour, "linestyle": "-" if batch < 342 else "--"}
        style["linewidth"] = 0.6 if batch == 1 else 1.4
        sgd.plot(*path.T, label=f"batch {batch}", **style)
    sgd.plot(kilos.mean(), np.log(kilos.std()), "*", color="black", markersize=10)
    sgd.set(xlabel="mean (kg)", ylabel="log standard deviation")
    sgd.set(xlim=(2.8, 5), ylim=(-0.55, 0.85))
    sgd.set_title("stochastic gradients, to the star", fontsize=9)
    legend(sgd, loc="upper right")
    for ax in (coin, em, sgd):
        bare(ax)
    return drawn


def structure(counts: Any, held_out: Any, reached: Any) -> Any:
    drawn, ((left, right),) = figure(1, 2, (4.2, 3.3))
    digits = {name: np.log10(float(count)) for name, count in counts.items()}
    left.barh(list(digits), list(digits.values()), color=COLOURS[0], height=0.6)
    for i, value in enumerate(digits.values()):
        left.text(value + 2, i, f"$10^{{{value:.0f}}}$", va="center", fontsize=8)
    left.set(xlabel="numbers to learn (power of ten)", xlim=(0, 275))
    left.axvline(80, color=INK, linewidth=0.8, linestyle=":")
    left.text(83, 2.5, "atoms of the\nuniverse", fontsize=8, color=INK)
    left.invert_yaxis()
    left.tick_params(axis="y", length=0, labelsize=8)
    n, by_model = list(held_out), np.array(list(held_out.values())).T
    names = ("full table, with a prior", "tree", "independent columns")
    for name, y, colour, marker, line in zip(names, by_model[1:], COLOURS, MARKERS, LINES):
        right.plot(n, y, color=colour, marker=marker, linestyle=line, label=name)
    right.axhline(reached, color=INK, linewidth=0.8, linestyle=":")
    right.text(n[0], reached + 0.06, "the truth: minus its entropy", fontsize=8, color=INK)
    bare_table = np.isneginf(by_model[0])
    low = min(by_model[1:].min(), reached) - 0.5
    style = {"color": COLOURS[5], "marker": "v", "linestyle": "", "clip_on": False}
    right.plot(np.array(n)[bare_table], np.full(bare_table.sum(), low), **style)
    right.plot([], [], label="full table: minus infinity", **{**style, "clip_on": True})
    right.set(xscale="log", xlabel="rows learned from", ylim=(low, reached + 0.4))
    right.set_ylabel("held-out log p (nats per row)")
    legend(right, loc="center right", bbox_to_anchor=(1, 0.35))
    for ax in (left, right):
        bare(ax)
    return drawn


def family(family: Any, scores: Any, moons: Any) -> Any:
    drawn, axes = figure(3, 3, (2.1, 1.55))
    clouds = {"rows learned from": moons[:500]}
    with warnings.catch_warnings():
        # What it says of weights does not concern new rows, which no weight enters.
        warnings.simplefilter("ignore", pofx.PofxWarning)
        clouds |= {name: q.sample(500, seed=1) for name, q in family.items()}
    for ax, (name, points) in zip(axes.ravel(), clouds.items()):
        colour = COLOURS[0] if name in family else INK
        style = {"markersize": 2.2, "markeredgewidth": 0, "color": colour}
        ax.plot(points[:, 0], points[:, 1], "o", **style)
        score = f": {scores[name].value:.1f}" if name in scores else ""
        ax.set_title(f"{name}{score}", fontsize=8)
        ax.set(xlim=(-1.6, 2.6), ylim=(-1.1, 1.6), xticks=[], yticks=[], aspect="equal")
        ax.spines[:].set_color(GREY)
    return drawn


def noise(belief: Any, after: Any, turned: Any, seen: Any, moved: Any, log_p: Any) -> Any:
    drawn, ((one, two, three, hist),) = figure(1, 4, (2.1, 2.6))
    one.get_gridspec().set_width_ratios([1, 1, 1, 1.7])
    pick = np.flatnonzero(turned)[after.max(1)[turned].argmax()]
    beliefs = [f"p({v[pick].argmax()} | x) = {v[pick].max():.3f}" for v in (belief, after)]
    images = (seen[pick], moved[pick] - seen[pick], moved[pick])
    titles = (f"sure and right:\n{beliefs[0]}", "noise, at most\n2 of 16 levels")
    for ax, pixels, title in zip(
        (one, two, three), images, (*titles, f"sure, wrong:\n{beliefs[1]}")
    ):
        ends = {"vmin": -8, "vmax": 8, "cmap": "PuOr"} if ax is two else {"vmin": 0, "vmax": 16}
        ax.imshow(pixels.reshape(8, 8), **{"cmap": "Greys", **ends})
        ax.set_title(title, fontsize=9)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color(GREY)
    bins = np.linspace(-500, 0, 51)
    for v, name, colour in zip(log_p, ("as they are", "with noise"), (COLOURS[0], COLOURS[1])):
        hist.hist(np.clip(v, -499, -1), bins, color=colour, alpha=0.7, label=name)
    hist.set(xlabel="log p(x) (nats)", ylabel=f"of {len(seen)} digits")
    legend(bare(hist), loc="upper left")
    return drawn


def decisions(clinic: Any, patients: Any, in_test: Any, truth: Any, cost: Any) -> Any:
    drawn, ((ax,),) = figure(1, 1, (5.6, 3.4))
    share = np.linspace(0, 1, 501)
    lines = {a: (1 - share) * c["benign"] + share * c["malignant"] for a, c in cost.items()}
    for (action, y), colour, line in zip(lines.items(), COLOURS, LINES):
        ax.plot(share, y, color=colour, linestyle=line, label=action)
    least = np.min(list(lines.values()), axis=0)
    ax.plot(share, least, color=INK, linewidth=4, alpha=0.25, label="least", zorder=0)
    malignant = clinic.predict_proba(patients[in_test], "tumour")["malignant"].to_numpy()
    for name, colour, level in (("malignant", COLOURS[5], -0.35), ("benign", COLOURS[4], -0.7)):
        predicted = malignant[truth == name]
        style = {"markersize": 6, "color": colour, "alpha": 0.5, "clip_on": False}
        ax.plot(predicted, np.full(len(predicted), level), "|", **style)
        ax.text(1.03, level, f"{len(predicted)} {name}", color=colour, va="center", fontsize=8)
    ax.set(xlim=(0, 1), ylim=(-0.9, 6), xlabel="p(malignant | x)", ylabel="expected cost")
    legend(bare(ax), loc="upper right", bbox_to_anchor=(1, 1), title="action")
    return drawn
