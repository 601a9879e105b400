"""The rtpengine C module: its commands and RPCs, inside Kamailio; the rows it shows, which are data, everywhere."""
