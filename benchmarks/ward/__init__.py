"""A ward as hospitals have it: its monitors, those who watch, the server under it, and where it breaks."""
