"""Odd transactions, with reasons: which columns made a row unusual.

    python examples/odd_transactions.py [--rows 3000]

Card payments of three kinds of shop, drawn here from a known process, among them a few that do not
belong: an amount with two digits too many, groceries at four in the morning, a
payment nine thousand kilometres away. The model sees no labels. Each cell is left out in turn: what
its value loses against what is usual, log p(cell | others) + H(cell | others), finds the odd cell,
which is the reason. (The density of the whole row alone would put rare but ordinary kinds first:
journeys are rarer than groceries, and more spread out.)
"""

import argparse

import numpy as np
import pandas as pd

import pofx

SHOPS = {"groceries": (35, 0.5, 17, 3), "fuel": (60, 0.25, 12, 5), "travel": (400, 0.7, 13, 6)}
"""For each kind of shop the median amount, its spread in logarithms, the hour and its spread."""


def payments(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Ordinary payments; a country is missing if the terminal reported none."""
    shop = rng.choice(list(SHOPS), n, p=[0.6, 0.3, 0.1])
    median, spread, hour, wide = np.array([SHOPS[s] for s in shop]).T
    abroad = rng.random(n) < np.where(shop == "travel", 0.5, 0.02)
    country = np.where(abroad, rng.choice(["FR", "IT", "ES"], n), "DE").astype(object)
    country[rng.random(n) < 0.05] = None
    return pd.DataFrame(
        {
            "shop": shop,
            "amount": (median * np.exp(spread * rng.normal(size=n))).round(2),
            "hour": (rng.normal(hour, wide) % 24).round(1),
            "country": country,
            "km": np.where(abroad, rng.gamma(4, 250, n), rng.gamma(1.5, 6, n)).round(1),
        }
    )


def spoiled(df: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, dict[int, str]]:
    """Six rows made odd, and the column of each that is odd."""
    df, why = df.copy(), {}
    rows = rng.choice(len(df), 6, replace=False)
    for i, row in enumerate(rows):
        column = ("amount", "hour", "km")[i % 3]
        value = {"amount": 100 * df.amount[row], "hour": 3.9, "km": 9000.0}[column]
        df.loc[row, column] = round(float(value), 2)
        if column == "hour":
            df.loc[row, "shop"] = "groceries"
        why[int(row)] = column
    return df, why


def excess_log_p(p: pofx.Joint, df: pd.DataFrame) -> pd.DataFrame:
    """log p(cell | the other cells) + H(cell | the others), in nats: far below zero is odd."""
    log_p = p.log_prob(df).value
    excess = {}
    for c in df:
        others_log_p = p.log_prob(df.assign(**{c: None})).value
        others = [other for other in df if other != c]
        usual = p.entropy(c, given=others, stderr=0.05).value
        excess[c] = np.where(df[c].notna(), log_p - others_log_p + usual, 0.0)
    return pd.DataFrame(excess, index=df.index)


def main(n: int = 3000, seed: int = 0) -> tuple[int, int]:
    """Prints the oddest payments with their reasons; returns how many found, and of how many."""
    rng = np.random.default_rng(seed)
    learned = payments(n, rng)
    df, why = spoiled(payments(n // 3, rng), rng)
    p = pofx.fit(learned, "mixture", components=8, seed=seed)
    cells = excess_log_p(p, df)
    tail = p.tail_probability(df, reference=learned).value
    odd = cells.min(axis=1).nsmallest(2 * len(why))
    print(f"{len(df)} payments, {len(why)} of them made odd; the {len(odd)} oddest:\n")
    right = 0
    for i in odd.index:
        reason = cells.loc[i].idxmin()
        right += why.get(i) == reason
        row = ", ".join(f"{c} {v}" for c, v in df.loc[i].items())
        print(f"  {row}\n    {reason}: {odd[i]:+.1f} nats; as a row, {tail[i]:.2%} are less likely")
        print(f"    made odd in {why[i]}" if i in why else "    as drawn")
    print(f"\n{right} of {len(why)} found, with the right reason")
    return right, len(why)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=3000)
    main(parser.parse_args().rows)
