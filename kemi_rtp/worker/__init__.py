"""What runs in a SIP worker for a SIP message. No file, no ping, no lock across I/O (KSR: yes)."""
