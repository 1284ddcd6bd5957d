"""Other servers, as their own users would write them."""
