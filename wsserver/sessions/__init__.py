"""What a client that comes back is given: its session, and what it missed."""
