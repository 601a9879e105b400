"""What the processes of one Kamailio share: its layout and what follows from it. Only `state` touches it."""
