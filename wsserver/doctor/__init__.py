"""Whether a machine and its settings can do what is asked of them, before they have to."""
