"""What one subscription is, how many there may be, and when they end."""
