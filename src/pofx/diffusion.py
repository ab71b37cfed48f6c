"""Other samplers of a fitted diffusion, and its density by the probability flow."""

from pofx.named.diffusion_sampling import flow_log_prob, with_sampler

__all__ = ["flow_log_prob", "with_sampler"]
