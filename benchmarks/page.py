"""The page of benchmarks: what each script last printed, with its date, machine and versions.

    python benchmarks/page.py docs/benchmarks.md

Saved output is `benchmarks/results/NAME.txt`: a first line with date and command, then all
that the script printed. To renew one:

    python benchmarks/page.py --run standard_errors
    python benchmarks/page.py --run mixed_tables ../data/tables
"""

import ast
import datetime
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
HEAD = """# Benchmarks
What the scripts of `benchmarks/` last printed, where it is kept: whole, with the day, the machine \
and the versions. \
Both sides of a comparison of time run in one process, in turn; compilation is stated apart. This \
page is made by `python benchmarks/page.py`; the tables of the README quote it.
"""


def page() -> str:
    """The page, a section for each script that has saved output."""
    parts = [HEAD]
    for saved in sorted((HERE / "results").glob("*.txt")):
        first_line, _, output = saved.read_text().partition("\n")
        title = f"## {saved.stem.replace('_', ' ').capitalize()}\n{summary(saved.stem)}\n"
        parts.append(f"{title}\n{first_line}\n```text\n{output.rstrip()}\n```\n")
    return "\n".join(parts)


def summary(name: str) -> str:
    """The first paragraph of a script's docstring."""
    docstring = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text()))
    return (docstring or "").split("\n\n")[0].replace("\n", " ")


def _shown(argument: str) -> str:
    """An argument without the paths of this machine."""
    path = Path(argument)
    return "DIR" if path.is_dir() else "PATH" if path.is_file() else argument


def run(name: str, *arguments: str) -> None:
    """Runs a script, shows what it prints, and keeps that if it ends well."""
    command = ["python", f"benchmarks/{name}.py", *arguments]
    lines = []
    with subprocess.Popen(
        [sys.executable, *command[1:]], stdout=subprocess.PIPE, text=True, cwd=HERE.parent
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        sys.exit(process.returncode)
    shown = " ".join([*command[:2], *(_shown(a) for a in arguments)])
    first_line = f"{datetime.date.today()}, `{shown}`\n"
    (HERE / "results" / f"{name}.txt").write_text(first_line + "".join(lines))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(*sys.argv[2:])
    else:
        Path(sys.argv[1]).write_text(page())
