"""The figures of a running server as Prometheus scrapes them, with rules and a dashboard to begin with."""
