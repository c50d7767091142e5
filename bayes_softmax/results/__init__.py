"""What comes back: labelled estimates and posteriors, their tables, predictions and pictures."""
