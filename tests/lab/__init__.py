"""A laboratory of real parts: rtpengine daemons, Kamailio and SIPp on the loopback interface.

`world` ties the parts together; `demo` and `run` are what `make demo` and `make run` start.
"""
