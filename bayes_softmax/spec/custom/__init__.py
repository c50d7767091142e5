"""Logits by a function of the user's own, written in PyTensor: what it names, how it is evaluated, and its prior."""
