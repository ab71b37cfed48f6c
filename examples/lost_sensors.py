"""A classifier that loses its sensors.

    python examples/lost_sensors.py [--rows 2000]

Sixteen sensors watch a machine in one of four states. In use some of them fail, up to three in
four. A generative classifier p(y) p(x | y) leaves the lost ones out, exactly, by Bayes' rule; a
logistic regression is shown their means instead. Both learned from whole rows.
"""

import argparse

import numpy as np
from sklearn.linear_model import LogisticRegression

import pofx

STATES, SENSORS, CAUSES = ("idle", "running", "overload", "fault"), 16, 4


def machine(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Readings and states: a few causes drive all sensors, each state in its own way."""
    shape = np.random.default_rng(7)
    loading = shape.normal(size=(len(STATES), SENSORS, CAUSES))
    level = 0.8 * shape.normal(size=(len(STATES), SENSORS))
    state = rng.choice(len(STATES), n, p=[0.3, 0.4, 0.2, 0.1])
    cause = rng.normal(size=(n, CAUSES))
    noise = 0.5 * rng.normal(size=(n, SENSORS))
    return level[state] + np.einsum("nsc,nc->ns", loading[state], cause) + noise, state


def main(n: int = 2000, seed: int = 0) -> dict[float, tuple[float, float]]:
    """Prints the accuracy of both as sensors are lost; returns it."""
    rng = np.random.default_rng(seed)
    x, state = machine(n, rng)
    test, truth = machine(n, rng)
    names = np.array(STATES)
    p = pofx.fit(
        {"x": x, "state": names[state]},
        "class_conditional",
        on="state",
        part="factor_analysis",
        latent=CAUSES,
        seed=seed,
    )
    line = LogisticRegression(max_iter=2000).fit(x, names[state])
    out = {}
    print("lost     p(y) p(x | y)   logistic, means   rejected, uncertain   accuracy of the others")
    for lost in (0.0, 0.25, 0.5, 0.75):
        gone = rng.random(test.shape) < lost
        holed = np.where(gone, np.nan, test)
        d = p.decide({"x": holed}, "state", reject_cost=0.3, outlier_level=0)
        ours = p.predict({"x": holed}, "state") == names[truth]
        theirs = line.predict(np.where(gone, x.mean(0), test)) == names[truth]
        kept = d.action[~d.rejected] == names[truth][~d.rejected]
        out[lost] = ours.mean(), theirs.mean()
        print(
            f"{lost:4.0%}   {ours.mean():14.3f} {theirs.mean():17.3f}"
            f" {d.rejected.mean():19.1%} {kept.mean():24.3f}"
        )
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2000)
    main(parser.parse_args().rows)
