"""Compiled core: frames, sockets, fan-out, topics and filters. No policy, no JSON, no logging, no clock."""
