"""Does a process that answers questions all day grow, and does it answer in parallel?

    python benchmarks/many_questions.py

2000 different questions to a mixture of the penguins in one process: its memory after 100 and at
the end, and the programs compiled after the first 100. Then the log-probabilities of 1000 single
rows, from one thread and from 8 threads on one distribution, compared with those of one call.
"""

import resource
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from palmerpenguins import load_penguins
from timing import machine

import pofx
from pofx.core.compilation_count import counting_compilations

QUESTIONS = 2000
WARM = 100
ROWS = 1000
THREADS = 8
NUMBERS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
LEVELS = {
    "species": ["Adelie", "Gentoo", "Chinstrap"],
    "island": ["Dream", "Biscoe"],
    "sex": ["male", "female"],
}


def questions(frame) -> Iterator[str]:
    """Questions of eight forms about random columns and values, each once."""
    rng = np.random.default_rng(0)
    seen = set()
    while True:
        a, b = rng.choice(NUMBERS, 2, replace=False)
        c = rng.choice(list(LEVELS))
        level = rng.choice(LEVELS[c])
        x, y = (frame[n].quantile(rng.uniform(0.1, 0.9)) for n in (a, b))
        for text in (
            f"P({a} > {x:.2f} | {b} = {y:.2f})",
            f"P({a} > {x:.2f}, {b} < {y:.2f})",
            f"E[{a} | {c} = {level}]",
            f"SD[{a} | {b} = {y:.2f}]",
            f"Q[0.{rng.integers(10, 99)}]({a} | {c} = {level})",
            f"p({c} | {a} = {x:.2f})",
            f"H({c} | {a} = {x:.2f})",
            f"I({c}; {a})",
        ):
            if text not in seen:
                seen.add(text)
                yield text


def resident_mb() -> float:
    """The memory of this process in MB, on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def ask_many(p, frame) -> None:
    texts = questions(frame)
    with counting_compilations() as programs:
        for _ in range(WARM):
            p.ask(next(texts))
        warm_mb, warm_count = resident_mb(), programs.count
        began = time.perf_counter()
        for _ in range(QUESTIONS - WARM):
            p.ask(next(texts))
    seconds = (time.perf_counter() - began) / (QUESTIONS - WARM)
    print(f"memory after {WARM} questions {warm_mb:.0f} MB, {QUESTIONS} {resident_mb():.0f} MB")
    print(f"programs compiled {warm_count}, then {programs.count - warm_count}")
    print(f"a question after the first {WARM}: {1e3 * seconds:.1f} ms on average")


def ask_in_parallel(p, frame) -> None:
    rows = [frame.iloc[[i % len(frame)]] for i in range(ROWS)]
    expected = p.log_prob(frame).value

    def ask(row) -> float:
        return float(p.log_prob(row).value[0])

    ask(rows[0])
    for threads in (1, THREADS):
        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            values = np.array(list(pool.map(ask, rows)))
        seconds = time.perf_counter() - began
        error = np.abs(values - np.tile(expected, 1 + ROWS // len(frame))[:ROWS]).max()
        print(
            f"{threads} threads: {ROWS / seconds:.0f} rows a second, one a call; "
            f"largest difference from one call for all {error:.0e} nats"
        )


def main() -> None:
    warnings.simplefilter("ignore")
    print(machine("pofx", "jax"))
    frame = load_penguins()
    p = pofx.fit(frame, "mixture", components=3, progress=False)
    ask_many(p, frame)
    ask_in_parallel(p, frame)


if __name__ == "__main__":
    main()
