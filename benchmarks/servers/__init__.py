"""The server under test, in this process or one of its own."""
