"""Every query of docs/notation.md has an answer that prints itself."""

import re
from pathlib import Path

import pytest

import pofx
from pofx import Answer
from pofx.ask.results import Mode, Moments, Summary, Table
from pofx.notation.parse import parse

pytestmark = pytest.mark.slow
"""Minutes of compilation; the quick tests cover a few of each."""

DOCS = Path(__file__).parents[2] / "docs" / "notation.md"


def questions():
    blocks = re.findall(r"```ask\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def penguins():
    penguins = pytest.importorskip("palmerpenguins").load_penguins()
    return pofx.fit(penguins, "independent")


@pytest.mark.filterwarnings("ignore:sample. what is drawn is independent:pofx.PofxWarning")
@pytest.mark.parametrize("question", questions())
def test_a_question_of_the_page_is_answered(penguins, question):
    answer = penguins.ask(question, max_draws=2048)
    if question.lower().startswith("sample"):
        assert list(answer)
    else:
        assert isinstance(answer, Answer | Table | Summary | Moments | Mode)
        assert str(answer).startswith(str(parse(question)))
