"""The compiled log density of a neural network's logits."""
