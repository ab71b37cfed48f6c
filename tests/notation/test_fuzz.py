"""What is printed is read back as the same, and any text is either read or refused."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pofx.notation.errors import NotationError
from pofx.notation.parse import MAX_CHARS, parse

from .trees import QUERIES

VALID = [
    "p(a = 1, b | c = 'x y')",
    "P(2 < a <= 5, b not in {x, y} | `c d` = ?, e >= 3)",
    "Q[0.9](a | b in (0, 1], c != z)",
    "sample[5](a, b | c = 2)",
    "I(a, b; c | d, e = -1.5e3)",
    'KL(p(a | b = "x") || q[a])',
    "Corr[a, b | c]",
]
PIECES = [
    *"()[]{}|,;=<>!?'\"`\\.-+ \n1aλ",
    "||",
    "==",
    "in",
    "not in",
    "inf",
    "≤",
    "‖",
    "P",
    "E",
    "\0",
]


def read_or_refused(text):
    try:
        query = parse(text)
    except NotationError as error:
        check_picture(text, error)
    else:
        assert parse(str(query)) == query


def check_picture(text, error):
    head, question, caret = str(error).split("\n")
    assert head.startswith("ask: ")
    assert (head + question).isprintable()
    assert caret.strip() == "^"
    assert len(caret) <= len(question) + 1
    assert error.text == text
    assert 0 <= error.at <= len(text)


@settings(max_examples=400)
@given(QUERIES)
def test_what_is_printed_is_read_back(query):
    text = str(query)
    if len(text) <= MAX_CHARS:
        assert parse(text) == query
        assert str(parse(text)) == text


@settings(max_examples=200)
@given(st.text())
def test_any_text(text):
    read_or_refused(text)


@settings(max_examples=300)
@given(st.sampled_from("pPEQHI"), st.lists(st.sampled_from(PIECES), max_size=12))
def test_any_pieces(function, pieces):
    read_or_refused(f"{function}({''.join(pieces)}")


@settings(max_examples=600)
@given(st.sampled_from(VALID), st.data())
def test_any_slip(text, data):
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(start + 3, len(text))))
        text = text[:start] + data.draw(st.sampled_from(["", *PIECES])) + text[stop:]
    read_or_refused(text)
