"""The KSR module of Kamailio's KEMI, for tests and editors outside Kamailio.

A script's `import KSR` gets this package instead of the module that app_python3 builds in: the same modules and
functions, strict about arguments, with state. Tests use it through the pytest fixture `ksr` (KSR.pytest_plugin);
editors and mypy read the generated types in __init__.pyi and _types/. See README.md in the folder above.
"""

import sys

from KSR.mock.engine.dispatch import install
from KSR.mock.load import load

load()
install(sys.modules[__name__])
