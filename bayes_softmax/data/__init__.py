"""What was given: frames, labels, formulas, equal rows."""
