"""Kamailio itself: its processes, clock and log, how a call reaches its behaviour, how a script's routes run."""
