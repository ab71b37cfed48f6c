"""Joint, the named distribution that users hold, and its files."""
