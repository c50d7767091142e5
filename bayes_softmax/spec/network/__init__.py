"""Logits of a neural network: what the user writes, its function, its priors and its coordinates."""
