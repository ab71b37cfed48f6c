"""Gaussian models: statistics, covariance structures, priors and latent factors."""
