"""Kamailio itself: its processes, clock and log, how calls reach the mock, how a script's routes run."""
