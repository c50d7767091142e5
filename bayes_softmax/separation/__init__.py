"""Whether a finite, unique optimum exists: rank of the features, recession cone of the likelihood, separated classes.

``examination`` says what is open, ``directions`` along which directions of the coefficients, ``diagnosis`` puts names
to it; the linear programs are in ``recession``, ``rays`` and ``smallest``.
"""
