"""Parts of diffusion models."""
