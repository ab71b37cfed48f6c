"""A process that answers questions all day: after a while it compiles nothing, so nothing grows."""

import numpy as np

from pofx.core.compilation_count import counting_compilations

FORMS = (
    "P(mass > {x} | eggs = {k})",
    "P(mass > {x}, eggs < 2)",
    "E[mass | species = {level}]",
    "Q[0.{q}](mass | sex = {sex})",
    "p(species | mass = {x})",
    "H(species | mass = {x})",
)
FIRST, LATER = 60, 240


def questions():
    """Questions of these forms about random values."""
    rng = np.random.default_rng(0)
    while True:
        for form in FORMS:
            yield form.format(
                x=round(rng.uniform(3000, 5000), 2),
                k=rng.integers(0, 3),
                q=rng.integers(10, 99),
                level=rng.choice(["Gentoo", "Adelie", "Chinstrap"]),
                sex=rng.choice(["female", "male"]),
            )


def test_after_the_first_questions_nothing_is_compiled(p):
    texts = questions()
    with counting_compilations() as programs:
        for _ in range(FIRST):
            p.ask(next(texts))
        first = programs.count
        answers = [p.ask(next(texts)) for _ in range(LATER)]
    assert programs.count == first
    assert len(answers) == LATER
