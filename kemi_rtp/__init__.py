"""Decides in Kamailio's KEMI route which rtpengine node carries a call, and keeps disabled nodes out."""

import sys

__version__ = "0.1.0"


def forget_modules() -> None:
    """Let the next import read the whole package from disk again; `app_python.reload` alone would keep it.

    The one module that stays holds the memory that the processes share.
    """
    for name in [name for name in sys.modules if name == __name__ or name.startswith(f"{__name__}.")]:
        if name != f"{__name__}.shm.places":
            del sys.modules[name]
