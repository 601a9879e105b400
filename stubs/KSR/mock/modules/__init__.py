"""KSR's modules."""
