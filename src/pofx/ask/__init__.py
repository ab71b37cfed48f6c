"""What a question in the notation means: its tree, put to a named distribution."""
