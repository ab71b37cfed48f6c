"""Diffusion models: the noisy encoding of rows, the denoiser, and the ways back from noise."""
