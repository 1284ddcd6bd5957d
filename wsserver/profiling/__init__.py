"""Where the time goes: the functions of Python by name, the work of the core by its counters."""
