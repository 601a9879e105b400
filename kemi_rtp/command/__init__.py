"""The command kemi-rtp: one file per group of commands. A process of its own, outside Kamailio; never imports KSR."""
