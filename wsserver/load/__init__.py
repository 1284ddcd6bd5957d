"""How much there is to do, and for whom."""
