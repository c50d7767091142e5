"""What a fit answers: one file a question."""
