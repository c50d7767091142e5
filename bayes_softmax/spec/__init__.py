"""What is modelled: data, coding, priors, and the same model written for PyMC."""
