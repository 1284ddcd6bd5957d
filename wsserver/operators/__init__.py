"""Who operates the server: accounts, sign-ins, what each may do and what is hidden from them."""
