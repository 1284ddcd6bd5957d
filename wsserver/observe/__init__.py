"""What is seen of the running server: its history, hints about filters, explanations."""
