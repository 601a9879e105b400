"""The same KEMI calls on the stub and on a real Kamailio, and the answers compared."""
