"""What becomes of results: figures, charts, pages, pictures."""
