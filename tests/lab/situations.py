"""Rows of the table at the end: what happens to a node that an operator disabled. Stock and kemi_rtp meet the same."""

TIMER = "it is down for a while, with a ping timer"
PING = "it is down, and somebody types `rtpengine.ping all`"
RELOAD = "somebody types `rtpengine.reload`, or cron does"
RESTART = "Kamailio restarts"
ENABLE = "somebody types `rtpengine.enable URL 1`"
DISABLE = "somebody types `rtpengine.enable URL 0` once more"
ALL_AT_ONCE = "all of this under load, a reload every 11 s"

ORDER = (TIMER, PING, RELOAD, RESTART, ENABLE, DISABLE, ALL_AT_ONCE)
