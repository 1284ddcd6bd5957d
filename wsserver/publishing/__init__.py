"""How messages come in, and what became of them."""
