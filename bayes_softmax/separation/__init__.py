"""Whether a finite, unique optimum exists: rank of the features, recession cone of the likelihood, separated classes.

``examination`` finds what the likelihood leaves open, ``directions`` along which directions of the coefficients,
``diagnosis`` names classes, features and rows; the linear programs are in ``recession``, ``rays`` and ``smallest``.
"""
