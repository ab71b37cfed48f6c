"""Answers queries in the notation about a named distribution."""
