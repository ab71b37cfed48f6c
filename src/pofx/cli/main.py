"""The entry point of the command line: runs a command and prints its errors."""

import codecs
import io
import os
import sys
import warnings
from typing import Any

import typer

from pofx.cli import doctor, fitting, questions  # noqa: F401  (each registers its commands)
from pofx.cli.app import app
from pofx.core.errors import PofxError, PofxWarning, os_reason
from pofx.core.escaping import escaped
from pofx.notation.errors import NotationError

MAX_MESSAGE_LENGTH = 600
"""Characters of the longest message."""
ASCII_SPELLINGS = {"±": "+-", "…": "...", "∞": "inf", "√": "sqrt "}
"""What is printed if an encoding lacks these signs."""
UsageError: Any = typer.BadParameter.__mro__[1]
"""The errors of the parser of arguments, from `click` or from its copy in typer."""


def main() -> None:
    """Runs the command line; a mistake is one line on standard error and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        _spell_unknown_signs(stream)
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        try:
            code = app(standalone_mode=False)
            sys.stdout.flush()
        except NotationError as error:
            code = _print_notation_error(error)
        except PofxError as error:
            code = _print_error(error)
        except UsageError as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                error.show()  # the help, which is many lines
                sys.exit(2)
            code = _print_error(error.format_message())
        except (KeyboardInterrupt, typer.Abort):
            code = 130
        except (MemoryError, RuntimeError) as error:
            code = _print_error(_runtime_reason(error))
        except OSError as error:
            # A full disk, or a reader such as `head` that has closed: Python should not try again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            closed = isinstance(error, BrokenPipeError)
            code = 0 if closed else _print_error(f"cannot write or read: {os_reason(error)}")
    sys.exit(code or 0)


def _runtime_reason(error: MemoryError | RuntimeError) -> str:
    """What is wrong, if that is the machine or the user's settings of JAX; else raises `error`."""
    text = str(error)
    if "Unable to initialize backend" in text:
        return f"JAX_PLATFORMS: {text.splitlines()[0]}"
    # XLA reports a lack of memory by a RuntimeError that begins like this.
    if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in text:
        raise error
    reason = text.removeprefix("RESOURCE_EXHAUSTED: ").split("\n")[0]
    return f"not enough memory for this model or table ({reason}); try smaller ones"


def _spell_unknown_signs(stream: Any) -> None:
    """Makes a stream spell out signs that its encoding lacks, instead of failing."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="spelled")


def _spell(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(ASCII_SPELLINGS.get(c, ascii(c)[1:-1]) for c in missing), error.end


codecs.register_error("spelled", _spell)


def _print_error(message: object) -> int:
    """Prints one line to standard error; returns the exit code of a mistake."""
    text = " ".join(str(message).splitlines())
    # Text of a file may hold codes that control a terminal.
    text = escaped(text)
    print(
        "pofx:",
        text if len(text) <= MAX_MESSAGE_LENGTH else f"{text[:MAX_MESSAGE_LENGTH]} ...",
        file=sys.stderr,
    )
    return 2


def _print_notation_error(error: NotationError) -> int:
    """Prints the error, then the question with a caret under the place; returns the exit code."""
    message, *caret_lines = str(error).splitlines()
    _print_error(message)
    print(*caret_lines, sep="\n", file=sys.stderr)
    return 2


def _warn(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
    if issubclass(category, PofxWarning):
        _print_error(f"warning: {message}")
