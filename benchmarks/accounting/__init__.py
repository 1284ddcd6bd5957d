"""What takes the memory of a process: by owner, and what the allocators add to it."""
