"""Abstract classes, answers, variables, errors, rows, and the registry of exact rules."""
