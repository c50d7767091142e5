"""Formulas: read, checked, evaluated; text is never run as code."""
