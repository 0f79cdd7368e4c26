"""The mathematics of diffusion: noise, samplers, guidance, windows, forcing. Has never heard of faces."""
