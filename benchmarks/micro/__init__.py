"""Single calls of the core, by pytest-benchmark: ``python -m pytest benchmarks/micro --benchmark-only``."""
