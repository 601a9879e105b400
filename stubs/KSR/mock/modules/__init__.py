"""KSR's functions, one file per module: KSR.registrar.save is in registrar.py, KSR.is_INVITE in core.py."""
