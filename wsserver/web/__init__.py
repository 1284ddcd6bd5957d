"""The only code that knows aiohttp: handshake, takeover, REST and pages."""
