"""Scripts of one's own, as the README says how to write them, that Kamailio loads in place of kemi_rtp/routes.py."""
