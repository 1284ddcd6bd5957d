"""Documents for programs: what is said over the WebSocket, in schemas made of the types that decode it."""
