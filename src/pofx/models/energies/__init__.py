"""Energy-based models: log Z, Markov chains, the reference and the layers of an RBM."""
