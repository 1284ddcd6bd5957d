"""One connection from its first frame to its end."""
