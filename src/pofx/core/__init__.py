"""Abstract classes of models and families, answers, errors, rows, and rules in closed form."""
