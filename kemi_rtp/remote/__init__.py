"""A running Kamailio, reached from outside over JSON-RPC. Never imports KSR."""
