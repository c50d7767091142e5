"""Fits: point estimates and posteriors, and their storage."""
