"""The rtpengine module: its nodes, how it selects one, and fake daemons behind them."""
