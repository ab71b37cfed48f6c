"""Printing of names and other texts of a table on one line."""


def escaped(text: str) -> str:
    """The text on one line; characters that do not print appear as their codes.

    >>> print(escaped("a\\tb"))
    a\\tb
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
