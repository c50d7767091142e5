"""The model: data, coding, priors, and the same model written for PyMC."""
