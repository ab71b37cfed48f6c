"""What a model file says about itself is what its distribution says, and takes no JAX to read."""

import subprocess
import sys

import pytest

import pofx
from pofx.joint.description import describe_file


@pytest.mark.parametrize("evidence", [{}, {"species": "Gentoo"}])
def test_a_file_is_described_as_its_distribution(p, tmp_path, evidence):
    path = tmp_path / "p.pofx"
    (p.given(**evidence) if evidence else p).save(path)
    q = pofx.load(path)
    assert describe_file(path) == f"{q}\n\n{q.schema}\n\n{q.report()}"


def test_jax_is_not_imported(p, tmp_path):
    p.save(tmp_path / "p.pofx")
    code = (
        "import sys\n"
        "from pofx.cli.main import main\n"
        "sys.argv = ['pofx', 'info', 'p.pofx']\n"
        "try:\n    main()\nfinally:\n    assert not {'jax', 'equinox', 'pandas'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("p(species, mass, sex, eggs, gain)  ")


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x08\0\0\0\0\0\0\0{}      "])
def test_another_file_is_one_line(tmp_path, content):
    (tmp_path / "p.pofx").write_bytes(content)
    with pytest.raises(pofx.PofxError, match="not a valid pofx model file") as error:
        describe_file(tmp_path / "p.pofx")
    assert "\n" not in str(error.value)
    with pytest.raises(pofx.PofxError, match="cannot be read"):
        describe_file(tmp_path / "absent.pofx")
