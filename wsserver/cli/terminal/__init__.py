"""``wsserver top``: a running server in a terminal, live."""
