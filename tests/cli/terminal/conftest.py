import pytest
from terminal.status_double import StatusDouble


@pytest.fixture
async def status(aiohttp_server) -> StatusDouble:
    """A server to watch."""
    double = StatusDouble()
    server = await aiohttp_server(double.application())
    double.url = str(server.make_url("/"))
    return double
