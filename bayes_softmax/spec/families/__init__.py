"""Families of priors, one class each."""
