"""Complete a survey with honest uncertainty.

    python examples/survey.py [--rows 1500]

A survey asks age, household, income and opinion. The young leave the income out more often, so the
mean of the incomes given is too high a guess for all. The truth is known here, because the survey
is drawn: the mean of all incomes, also those not reported. Compared are the mean of what was
reported, filling with best guesses, and multiple imputation: twenty whole tables, each from a model
refitted to a bootstrap sample of the rows, combined by Rubin's rules.
"""

import argparse

import numpy as np
import pandas as pd

import pofx


def survey(n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, float]:
    """The answers with holes, and the mean income of all who were asked."""
    age = rng.integers(18, 80, n)
    home = np.where(rng.random(n) < (age - 10) / 90, "own", "rent")
    income = np.exp(7.2 + 0.012 * age + 0.25 * (home == "own") + 0.3 * rng.normal(size=n))
    happy = rng.binomial(4, 1 / (1 + np.exp(-(np.log(income) - 7.9))))
    df = pd.DataFrame(
        {
            "age": age.astype(float),
            "home": home,
            "income": income.round(),
            "happy": happy.astype(float),
        }
    )
    truth = float(df.income.mean())
    df.loc[rng.random(n) < 1 / (1 + np.exp((age - 40) / 8)), "income"] = np.nan
    df.loc[rng.random(n) < 0.1, "happy"] = np.nan
    df.loc[rng.random(n) < 0.05, "home"] = None
    return df, truth


def rubin(means: np.ndarray, variances: np.ndarray) -> tuple[float, float]:
    """The combined estimate and its standard error (Rubin 1987)."""
    m = len(means)
    return means.mean(), float(np.sqrt(variances.mean() + (1 + 1 / m) * means.var(ddof=1)))


def main(n: int = 1500, tables: int = 20, seed: int = 0) -> tuple[float, float, float]:
    """Prints the three estimates beside the truth; returns the last, its error, and the truth."""
    rng = np.random.default_rng(seed)
    df, truth = survey(n, rng)
    reported = df.income.dropna()
    kinds = {"happy": "ordinal", "income": "positive"}
    p = pofx.fit(df, "mixture", components=6, schema=kinds, seed=seed)
    best = p.impute(df).income
    filled = []
    for i in range(tables):
        rows = df.sample(n, replace=True, random_state=i).reset_index(drop=True)
        q = pofx.fit(
            rows, "mixture", components=6, schema=p.schema, restarts=1, tolerance=1e-4, seed=i
        )
        filled.append(q.impute(df, draws=1, seed=i)[0].income)
    means = np.array([f.mean() for f in filled])
    value, error = rubin(means, np.array([f.var() / n for f in filled]))
    print(f"{n} asked, {df.income.isna().mean():.0%} did not report their income\n")
    print(f"  mean of all incomes              {truth:7.0f}")
    print(f"  mean of those reported           {reported.mean():7.0f} ± {reported.sem():.0f}")
    print(f"  best guesses filled in           {best.mean():7.0f} ± {best.sem():.0f}  (too sure)")
    print(f"  {tables} tables drawn, Rubin's rules   {value:7.0f} ± {error:.0f}")
    return value, error, truth


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1500)
    main(parser.parse_args().rows)
