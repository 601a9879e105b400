"""What KSR.rtpengine works with: nodes, and fake daemons behind them. Its functions are in modules/rtpengine.py."""
