"""What is kept: the order of messages, and with a store on disk the messages and sessions themselves."""
