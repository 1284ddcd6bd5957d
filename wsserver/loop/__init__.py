"""The event loop's turns: who may hold it, what is due now and then."""
