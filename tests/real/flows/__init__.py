"""Call flows that SIPp cannot play, by user agents with RTP, on real Kamailios."""
