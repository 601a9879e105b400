"""What is on disk: nodes.yaml, the registry, their last good versions, the module's table. Any process but a worker."""
