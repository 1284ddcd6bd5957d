"""Examples for what stands around a server: the service manager, a container, proxies in front."""
