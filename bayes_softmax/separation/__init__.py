"""What the data leave open: rank, recession, separation."""
