"""The rtpengine C module: its commands, its RPCs, the rows it shows. Inside Kamailio."""
