"""The answers of a fit: one file per question."""
