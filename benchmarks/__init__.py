"""Benchmarks: fan-out, memory and accept rate of the real server. See ``python -m benchmarks --help``."""
