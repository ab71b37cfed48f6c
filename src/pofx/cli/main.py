"""The command line: each command reads, asks a `Joint`, and prints."""

import codecs
import io
import os
import sys
import warnings
from typing import Any

import typer

from pofx.cli import fitting, questions  # noqa: F401  (each registers its commands)
from pofx.cli.app import app
from pofx.core.errors import PofxError, PofxWarning
from pofx.core.escaping import escaped
from pofx.notation.errors import NotationError

LINE = 600
"""Characters of the longest message."""
SPELLED = {"±": "+-", "…": "...", "∞": "inf", "√": "sqrt "}
"""What an encoding without these signs is given."""
UsageError: Any = typer.BadParameter.__mro__[1]
"""What the parser of arguments raises: in `click`, or in typer's own copy of it."""


def main() -> None:
    """Runs the command line; a mistake is one line on standard error and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        _write_anything(stream)
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        try:
            code = app(standalone_mode=False)
            sys.stdout.flush()
        except NotationError as error:
            code = _point(error)
        except PofxError as error:
            code = _say(error)
        except UsageError as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                error.show()  # the help, which is many lines
                sys.exit(2)
            code = _say(error.format_message())
        except (KeyboardInterrupt, typer.Abort):
            code = 130
        except (MemoryError, RuntimeError) as error:
            # XLA tells of memory that it cannot have by a RuntimeError of this beginning.
            if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
                raise
            reason = str(error).removeprefix("RESOURCE_EXHAUSTED: ").splitlines()[0]
            code = _say(f"not enough memory for this model or table ({reason}); try smaller ones")
        except OSError as error:
            # A full disk, or a reader that has left, as `head` does: Python shall not try again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            left = isinstance(error, BrokenPipeError)
            code = 0 if left else _say(f"cannot write or read: {error.strerror or error}")
    sys.exit(code or 0)


def _write_anything(stream: Any) -> None:
    """Has a stream of another encoding than UTF-8 spell what it lacks, rather than fail."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="spelled")


def _spelled(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(SPELLED.get(c, ascii(c)[1:-1]) for c in missing), error.end


codecs.register_error("spelled", _spelled)


def _say(message: object) -> int:
    """One line on standard error; the exit code of a mistake."""
    text = " ".join(str(message).splitlines())
    # Text of a file may hold what a terminal would obey.
    text = escaped(text)
    print("pofx:", text if len(text) <= LINE else f"{text[:LINE]} ...", file=sys.stderr)
    return 2


def _point(error: NotationError) -> int:
    """The mistake in a question on one line, then the question with a caret under the place."""
    message, *picture = str(error).splitlines()
    _say(message)
    print(*picture, sep="\n", file=sys.stderr)
    return 2


def _warn(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
    if issubclass(category, PofxWarning):
        _say(f"warning: {message}")
