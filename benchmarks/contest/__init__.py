"""Ways to send the same messages to the same crowd, which take turns in rounds."""
