"""Load clients, compiled ones among them, as processes of their own."""
