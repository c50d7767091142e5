"""The log posterior of models that learn the scales of their priors."""
