"""Tests with real Kamailio, rtpengine and SIPp: see tests/lab for the parts."""
