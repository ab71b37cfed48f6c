"""Mistakes on the command line: exit code 2, one line, and no file touched."""

import re

import pytest

MISTAKES = {
    "fit absent.csv -o a.pofx": "absent.csv: expected a file .csv.* there is no such file",
    "fit . -o a.pofx": "is a folder",
    "fit p.pofx -o a.pofx": "p.pofx: expected a file .csv, .* got '.pofx'",
    "fit png.csv -o a.pofx": "png.csv: ",
    "fit empty.csv -o a.pofx": "empty.csv: the file is empty",
    "fit heads.csv -o a.pofx": "data: expected at least one row and one column, got no rows",
    "fit whole.csv -o no/a.pofx": "no/a.pofx: cannot be written: no folder no",
    "fit whole.csv -o . -m independent": "expected the name of a file, got '.'",
    "fit whole.csv -o whole.csv/a.pofx": "whole.csv/a.pofx: cannot be written: no folder",
    "fit whole.csv -o a.pofx -m mixtur": "no model 'mixtur'; did you mean 'mixture'",
    "fit whole.csv -o a.pofx -m mixture -p components=41": "components: expected 1 to 40.* got 41",
    "fit whole.csv -o a.pofx -m mixture -p components=x": "components: expected a whole number",
    "fit whole.csv -o a.pofx -m mixture -p k=3": "no option of model 'mixture': 'k'",
    "fit whole.csv -o a.pofx -p seed=3": "--option: 'seed' is no option of a model",
    "fit whole.csv -o a.pofx -p components": "--option: expected NAME=VALUE, got 'components'",
    "fit whole.csv -o a.pofx -k sise=real": "no column 'sise'; did you mean 'size'",
    "fit whole.csv -o a.pofx -k size=reel": "no kind of column 'size' 'reel'; did you mean 'real'",
    "fit whole.csv -o a.pofx --weights sise": "no column 'sise'; did you mean 'size'",
    "fit whole.csv -o a.pofx --validation 2": "validation: expected a share between 0 and 1, got 2",
    "fit whole.csv": "Missing option '--output'",
    "sample absent.pofx": "absent.pofx: cannot be read: No such file",
    "sample cut.pofx": "cut.pofx: not a valid pofx model file",
    "sample whole.csv": "whole.csv: not a valid pofx model file",
    "sample p.pofx -n 0": "n: expected a whole number, at least 1; got 0",
    "sample p.pofx -n many": "Invalid value for '-n'",
    "sample p.pofx --given kid=blue": "no column 'kid'; did you mean 'kind'",
    "sample p.pofx --given kind=bleu": "no level of 'kind' 'bleu'; did you mean 'blue'",
    "sample p.pofx --given year=2020": "no level of 'year' '2020'",
    "sample p.pofx --given size=large": "column 'size': expected a number, got 'large'",
    "sample p.pofx --given size=inf": "column 'size': expected finite numbers.* got inf",
    "sample p.pofx --given kind": "--given: expected NAME=VALUE, got 'kind'",
    "sample p.pofx --given =3": "--given: expected NAME=VALUE, got '=3'",
    "sample p.pofx --given size=3 --given size=4": "--given: 'size' is given twice",
    "sample p.pofx -o draws.xlsx": "draws.xlsx: expected a file .* got '.xlsx'",
    "sample p.pofx -o no/draws.csv": "no/draws.csv: cannot be written: No such file",
    "sample image.pofx": "column 'image': a table file cannot hold cells of shape",
    "score p.pofx other.csv": "no column 'size'; did you mean 'sise'",
    "score p.pofx violet.csv": "in row 0 .*: no level 'violet'",
    "score p.pofx heads.csv": "data: expected at least one row, got no rows",
    "score p.pofx whole.csv --unseen no": "unseen: expected 'error' or 'missing', got 'no'",
    "impute p.pofx holes.csv --draws 0 -o a.csv": "draws: expected a whole number, at least 1",
    "impute p.pofx holes.csv --draws 2": "--output: expected a file name for --draws",
    "info png.csv": "png.csv: not a valid pofx model file",
    "smaple p.pofx": "No such command 'smaple'",
    "sample p.pofx --sede 3": "No such option: --sede",
    "sample": "Missing argument",
}
BOUND = "fit whole.csv -o a.pofx -m mixture"
BEYOND = {
    # What JSON or Python takes, and no model; of lines so long only the number names the test.
    f"{BOUND} -p k={'[' * 99999}": "--option: expected JSON at most 4 deep",
    f"{BOUND} -p k={'[' * 99 + ']' * 99}": "expected JSON at most 4 deep",
    f"{BOUND} -p k={'1' * 5000}": "--option: expected numbers of fewer",
    f"{BOUND} -p prior={'1' * 400}": "prior: expected a number, at least 0",
    f"{BOUND} -p tolerance={'1' * 400}": "tolerance: expected a number",
    f"{BOUND} -p restarts={'1' * 40}": "restarts: expected at most 2147483647",
    f"{BOUND} --epochs {'1' * 40}": "epochs: expected at most 2147483647",
    f"{BOUND} -p progress=x": "--option: 'progress' is no option of a model",
    f"predict p.pofx whole.csv -t kind --cost {'[' * 99999}": "expected JSON at most 4 deep",
    f"predict p.pofx whole.csv -t kind --cost [[0,1{'0' * 400}],[1,0]]": "cost: expected a matrix",
    "ask p.pofx H(size) --with seed=p.pofx": "--with: expected another name, 'seed' is taken",
    "ask p.pofx H(size) --with unit=p.pofx": "--with: expected another name, 'unit' is taken",
    "ask p.pofx H(size) --with p=p.pofx": "--with: expected another name, 'p' is taken",
    f"sample p.pofx -n {10**12}": r"n: expected at most \d+, .* GiB .* got 1000000000000;",
    f"sample p.pofx -n {10**30}": r"n: expected at most \d+, .* got more than 10\^20;",
    f"impute p.pofx holes.csv --draws {10**12} -o a.csv": r"draws: expected at most \d+, for which",
    f"sample p.pofx --seed {10**30}": "seed: expected a whole number of 64 bits",
    f"sample p.pofx --seed {'1' * 4000}": "seed: expected a whole number of 64 bits",
}


@pytest.mark.parametrize("line", [*MISTAKES, *BEYOND], ids=lambda line: line[:60])
def test_a_mistake_is_one_line_and_exit_code_2(run, folder, line):
    before = sorted(f.name for f in folder.iterdir())
    code, out, err = run(line)
    assert (code, out) == (2, "")
    assert err.startswith("pofx: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert re.search((MISTAKES | BEYOND)[line], err)
    assert sorted(f.name for f in folder.iterdir()) == before
