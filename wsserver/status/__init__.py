"""What operators watch live: figures of the last hours, and the panels of the status page."""
