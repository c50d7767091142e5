"""The log density: textbook NumPy, the compiled kernel, and their composition with coding and prior."""
