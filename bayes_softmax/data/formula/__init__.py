"""Formulas: parsed, checked, evaluated; text is never run as code."""
