"""Populations of subscriptions, and ways to find the receivers of a message among them."""
