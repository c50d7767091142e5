"""Algorithms that fit a log density, independent of the model: they use only ``core.protocols.LogDensity``."""
