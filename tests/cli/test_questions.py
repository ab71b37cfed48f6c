"""Questions, predictions and decisions on the command line."""

import json

import pytest

from pofx.table.frames.files import read


def test_ask_answers_each_question_on_its_own(run, p):
    questions = ["P(size > 5 | kind = blue)", "p(kind)"]
    code, out, err = run(["ask", "p.pofx", *questions])
    assert (code, err) == (0, "")
    assert out == "".join(f"{p.ask(q)}\n" for q in questions)
    assert out.splitlines()[0].endswith("exact, closed form")


def test_ask_about_two_models_in_bits(run, p):
    line = ["ask", "p.pofx", "KL(p(kind) || q(kind))", "--with", "q=p.pofx", "--unit", "bits"]
    code, out, _ = run(line)
    assert code == 0
    assert out.startswith("KL(p(kind) || q(kind)) = 0 bits   exact")


def test_a_mistake_in_a_question_is_pointed_at(run):
    code, out, err = run(["ask", "p.pofx", "p(kid = blue)"])
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "pofx: ask: no column 'kid'; did you mean 'kind'?",
        "  p(kid = blue)",
        "    ^",
    ]
    code, _, err = run(["ask", "p.pofx", "P(size > "])
    assert code == 2
    assert "expected a number" in err
    assert "Traceback" not in err


def test_predict_tells_acts_costs_and_refusals(run, folder, p):
    costs = json.dumps({"keep": {"true": 0, "false": 1}, "drop": {"true": 1, "false": 0}})
    code, out, _ = run(["predict", "p.pofx", "holes.csv", "-t", "alive", "--cost", costs])
    assert code == 0
    assert {line.split(",")[0] for line in out.splitlines()[1:]} <= {"keep", "drop"}
    assert out.splitlines()[0] == "alive,expected_cost,tail_probability,rejected"
    code, out, err = run("predict p.pofx holes.csv -t kind --reject-cost 0.3 -o acts.csv")
    assert (code, out) == (0, "")
    assert "decisions on kind for 40 rows" in err
    expected = p.decide(read(folder / "holes.csv"), "kind", reject_cost=0.3)
    actions = read(folder / "acts.csv")
    assert [a or None for a in actions["kind"].to_pylist()] == expected.action.tolist()
    assert [r or "" for r in actions["rejected"].to_pylist()] == expected.reason.tolist()


def test_predict_a_number(run, folder, p):
    code, out, _ = run("predict p.pofx whole.csv -t size")
    assert code == 0
    first = float(out.splitlines()[1].split(",")[0])
    assert first == pytest.approx(p.predict(read(folder / "whole.csv"), "size")[0], rel=1e-5)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("predict p.pofx whole.csv -t kid", "no column 'kid'; did you mean 'kind'"),
        ("predict p.pofx whole.csv", "Missing option '--target'"),
        ("predict p.pofx whole.csv -t kind --cost [[1]]", "cost: expected a matrix of shape"),
        ("predict p.pofx whole.csv -t size --cost squre", "did you mean 'squared'"),
        ("ask p.pofx p(kind) --with q", "--with: expected NAME=VALUE, got 'q'"),
        ("ask p.pofx p(kind) --unit nat", "unit: expected 'nats' or 'bits', got 'nat'"),
        ("ask absent.pofx p(kind)", "absent.pofx: cannot be read"),
    ],
)
def test_mistakes(run, line, message):
    code, _, err = run(line)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert message in err
