"""What is kept of messages: for now their order."""
