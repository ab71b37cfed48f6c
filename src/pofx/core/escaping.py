"""How names and other texts of a table are written on a line."""


def escaped(text: str) -> str:
    """The text on one line: what does not print is shown by its code.

    >>> print(escaped("a\\tb"))
    a\\tb
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
