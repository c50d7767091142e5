"""What a fit is: an estimate or a posterior, and how it is kept."""
