"""Parts of energy-based models."""
