"""What runs in the timer's own process: files picked up, nodes pinged, drift repaired. Never in a SIP worker."""
