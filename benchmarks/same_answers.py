"""Every digit of 90 answers of five fitted models, to compare two versions of pofx.

    python benchmarks/same_answers.py > new.txt
    PYTHONPATH=OLD_CHECKOUT/src python benchmarks/same_answers.py > old.txt; diff old.txt new.txt

Fits, draws and imputations are seeded, so that a change of names or of layout changes no digit.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd

import pofx

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "independent": ("independent", {}),
    "mixture": ("mixture", {"components": 3}),
    "by class": ("class_conditional", {"on": "c", "part": "correlated"}),
    "tree": ("latent_tree", {"states": 3}),
    "network": ("autoregressive", {"epochs": 3}),
}
QUESTIONS = [
    *("p(c)", "P(a > 1)", "P(a > 1 | c = x)", "P(c = y | a = 0, k = 31)", "E[a]", "E[b | a = 1]"),
    *("Var[m]", "SD[k | c = z]", "Q[0.9](a | c = x)", "mode(a, c)", "H(c)", "H(c | a)"),
    *("I(a; c)", "Corr[a, b]", "P(k = 30)", "P(k > 30, a < 0)", "p(a = 1 | b = 0)"),
    *("E[m | a > 1]", "P(c = x | a > 1)", "log p(a = 1, b = 0)"),
]
NETWORK_QUESTIONS = 10
"""Questions to the network, whose answers take draws."""


def main() -> None:
    """Prints the answers of each model."""
    warnings.simplefilter("ignore")
    data = table()
    for name, (model, options) in MODELS.items():
        if model == "class_conditional" and not _knows(data, model):
            model = "chain"  # its name before
        p = pofx.fit(data, model, seed=1, progress=False, **options)
        for question in QUESTIONS if name != "network" else QUESTIONS[:NETWORK_QUESTIONS]:
            print(name, question, answer(p, question))
        print(name, "log_prob", digits(p.log_prob(data.head(4))))
        print(name, "sample", p.sample(3, seed=2).to_csv())
        print(name, "impute", p.impute(data.iloc[[0, 17, 23]]).to_csv())
        if name != "independent":
            print(name, "predict", p.predict(data.head(5).assign(c=None), "c").tolist())


def _knows(data: pd.DataFrame, model: str) -> bool:
    """Whether this version has a model of that name."""
    try:
        pofx.fit(data.head(20), model, on="c", progress=False)
    except pofx.PofxError:
        return False
    return True


def table(n: int = 300) -> pd.DataFrame:
    """Numbers, a count and levels that depend on each other, with missing cells."""
    rng = np.random.default_rng(0)
    c = rng.choice(["x", "y", "z"], n)
    a = rng.normal(0, 1, n) + 2 * (c == "x")
    b = a / 2 + rng.normal(0, 1, n)
    m, k = np.exp(b / 2 + rng.normal(0, 0.3, n)), rng.poisson(30 + 5 * (c == "y"))
    data = pd.DataFrame({"a": a, "b": b, "m": m, "k": k, "c": c})
    data.loc[::17, "b"] = np.nan
    data.loc[::23, "c"] = None
    return data


def answer(p: Any, question: str) -> str:
    """The answer with all its digits."""
    try:
        return digits(p.ask(question))
    except pofx.PofxError:
        return "refused"


def digits(x: Any) -> str:
    """An answer's kind, value and error, or a table as it prints."""
    if not hasattr(x, "value"):
        return str(x)
    return f"{x.kind} {np.asarray(x.value).tolist()!r} {np.asarray(x.stderr).tolist()!r}"


if __name__ == "__main__":
    main()
