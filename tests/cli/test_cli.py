"""The command line, in this process; one run as a program at the end."""

import os
import subprocess
import sys

import numpy as np
import pytest

import pofx
from pofx.table.frames.files import read

HEAD = ["column", "kind", "family", "spikes", "resolution", "values"]


def table(text, folder):
    (folder / "out.csv").write_text(text)
    return read(folder / "out.csv")


def test_fit(run, folder):
    line = "fit holes.csv -o new.pofx -m mixture -p components=2 -p prior=0.5 -k size=real --seed 3"
    code, out, err = run(line)
    assert code == 0
    assert out.splitlines()[0].split() == HEAD
    assert err.splitlines()[-1] == "saved to new.pofx"
    assert "mixture(components=2, prior=0.5) on 40 rows" in err
    record = pofx.load(folder / "new.pofx").fit_info
    assert (record["seed"], record["options"]) == (3, {"components": 2, "prior": 0.5})


def test_memory_that_is_not_there_is_told_in_one_line(run, monkeypatch):
    def scarce(*_, **__):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4 TB.\nmore lines")

    monkeypatch.setattr(pofx, "fit", scarce)
    code, _, err = run("fit whole.csv -o new.pofx -m independent")
    assert code == 2
    assert err.splitlines()[-1].startswith("pofx: not enough memory for this model or table (Out")


@pytest.mark.slow
def test_fit_chooses(run, folder):
    code, _, err = run("fit whole.parquet -o chosen.pofx --validation 0.2")
    assert code == 0
    assert "within 20 s" in err
    assert "held out, nats per row" in err
    assert pofx.load(folder / "chosen.pofx").fit_info["leaderboard"]


def test_fit_with_weights_and_kinds(run, folder):
    assert run("fit whole.csv -o w.pofx -m independent --weights size -k year=categorical")[0] == 0
    schema = pofx.load(folder / "w.pofx").schema
    assert schema.names == ("kind", "year", "alive")
    assert schema.variable("year").kind == "categorical"


def test_sample_is_what_the_joint_draws(run, folder, p):
    code, out, err = run("sample p.pofx -n 7 --seed 5")
    assert (code, err) == (0, "")
    assert table(out, folder).equals(p.sample(7, seed=5))


def test_sample_given(run, folder, p):
    line = ["sample", "p.pofx", "-n", "4", "--given", "kind=red, bright", "--given", "year=2008"]
    code, out, _ = run(line)
    assert code == 0
    expected = p.given(kind="red, bright", year=2008).sample(4, seed=0)
    assert table(out, folder).to_pydict() == expected.to_pydict()


def test_sample_given_nothing(run):
    assert run("sample p.pofx --given size=?")[1] == run("sample p.pofx")[1]


@pytest.mark.parametrize("name", ["draws.csv", "draws.parquet", "draws.tsv.gz"])
def test_sample_into_a_file(run, folder, p, name):
    code, out, err = run(f"sample p.pofx -n 3 -o {name}")
    assert (code, out, err) == (0, "", "")
    assert read(folder / name).equals(p.sample(3))


def test_score(run, folder, p):
    code, out, err = run("score p.pofx holes.csv")
    expected = np.asarray(p.log_prob(read(folder / "holes.csv")))
    assert code == 0
    np.testing.assert_array_equal(table(out, folder)["log_prob"].to_numpy(), expected)
    assert f"{expected.mean():.2f} ± " in err
    assert "over 40 rows" in err


def test_score_of_a_level_never_seen(run):
    assert run("score p.pofx violet.csv --unseen missing")[0] == 0


def test_impute(run, folder, p):
    code, out, err = run("impute p.pofx holes.csv")
    assert (code, err) == (0, "")
    complete, holes = table(out, folder), read(folder / "holes.csv")
    assert complete.schema.names == holes.schema.names
    for name in complete.schema.names:
        assert complete[name].null_count == 0
        pairs = zip(complete[name].to_pylist(), holes[name].to_pylist())
        assert all(a == b for a, b in pairs if b is not None)
    assert complete.equals(p.impute(holes))


def test_impute_more_than_once(run, folder):
    code, out, _ = run("impute p.pofx holes.csv --draws 2 -o filled.parquet")
    assert (code, out.split()) == (0, ["filled.1.parquet", "filled.2.parquet"])
    one, other = (read(folder / f"filled.{i}.parquet") for i in (1, 2))
    assert one.schema == other.schema
    assert not one.equals(other)


def test_numbered_tables_keep_their_ending(run):
    code, out, _ = run("impute p.pofx holes.csv --draws 2 -o of.draws.csv.gz")
    assert (code, out.split()) == (0, ["of.draws.1.csv.gz", "of.draws.2.csv.gz"])


def test_models(run):
    code, out, err = run("models")
    assert (code, err) == (0, "")
    assert "mixture\n" in out
    assert "options: components=8" in out


def test_info(run, p):
    code, out, err = run("info p.pofx")
    assert (code, err) == (0, "")
    assert out.startswith("p(kind, size, year, alive)  Mixture")
    assert str(p.schema) in out
    assert "mixture(components=2) on 40 rows" in out


def test_version(run):
    assert run("--version") == (0, f"pofx {pofx.__version__}\n", "")


def test_help(run):
    assert "Usage: " in run("--help")[1]
    code, out, err = run("")
    assert code == 2
    assert "impute" in out + err


def test_equal_seeds_give_equal_files(run, folder):
    files = []
    for name in ("one", "two"):
        assert run(f"fit holes.csv -o {name}.pofx -m mixture -p components=2 --seed 4")[0] == 0
        files.append(pofx.load(folder / f"{name}.pofx"))
    data = read(folder / "holes.csv")
    np.testing.assert_array_equal(*(f.log_prob(data) for f in files))


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(run):
    line = (
        "fit whole.csv -o few.pofx -m mixture -p components=3 -p prior=0 -p steps=2 -p restarts=1"
    )
    code, _, err = run(line)
    assert code == 0
    assert err.startswith("pofx: warning: EM had not converged after 2 steps")
    assert len(err.splitlines()) == 3


PROGRAM = [sys.executable, "-m", "pofx"]


def test_as_a_program(folder, p):
    line = [*PROGRAM, "sample", "p.pofx", "-n", "3"]
    ran = subprocess.run(line, cwd=folder, capture_output=True, check=True)
    assert table(ran.stdout.decode(), folder).equals(p.sample(3))
    assert ran.stderr == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full disk at hand")
def test_a_full_disk(folder):
    with open("/dev/full", "w") as full:
        line = [*PROGRAM, "info", "p.pofx"]
        ran = subprocess.run(line, cwd=folder, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ran.returncode == 2
    assert ran.stderr == b"pofx: cannot write or read: No space left on device\n"


def test_a_reader_that_leaves(folder):
    program = subprocess.Popen(
        [*PROGRAM, "models"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    program.stdout.close()
    assert program.stderr.read() == b""
    program.stderr.close()
    assert program.wait() in (0, 1)


def test_definitions_are_written_and_asked(run, folder):
    (folder / "weather.p").write_text(
        "rain ~ Bernoulli(0.2)\nwet | rain ~ { yes: Bernoulli(0.9), no: Bernoulli(0.1) }\n"
    )
    code, out, _ = run("define weather.p -o weather.pofx")
    assert (code, out) == (0, "p(rain, wet)  DiscreteNetwork\n")
    for file in ("weather.p", "weather.pofx"):
        code, out, _ = run(["ask", file, "P(rain = yes | wet = yes)"])
        assert out == "P(rain = yes | wet = yes) = 0.692308   exact, closed form\n"
        assert run(f"info {file}")[1].startswith("p(rain, wet)  DiscreteNetwork\n\ncolumn")
    (folder / "wrong.p").write_text("rain ~ Bernoulli(0.2)\nwet | ran ~ Bernoulli(0.5)\n")
    code, out, err = run("define wrong.p -o wrong.pofx")
    assert (code, out) == (2, "")
    assert (
        err.splitlines()[0] == "pofx: define: line 2: no definition of 'ran'; did you mean 'rain'?"
    )
    assert not (folder / "wrong.pofx").exists()
    for file in ("weather.p", "weather.pofx", "wrong.p"):
        (folder / file).unlink()
