"""The network: sparse convolution, U-Net, bird's-eye-view branch, heads, losses and weights."""
