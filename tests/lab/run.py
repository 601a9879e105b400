"""`make run`: the laboratory stays up in the foreground for a person to try kemi-rtp on; Ctrl-C ends it."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from . import lines
from .foreground import foreground
from .kamailio import StartFailedError
from .lines import LineError
from .process import wait_until
from .world import World

_FOR_EVER = 10 * 365 * 24 * 3600.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.run", description=__doc__)
    parser.add_argument("--nodes", type=int, default=3, help="rtpengine daemons (default 3)")
    parser.add_argument("--rate", type=float, default=1.0, help="calls per second; 0 for none (default 1)")
    lines.add_option(parser)
    options = parser.parse_args()
    console = Console()
    try:
        with foreground(), World(nodes=options.nodes, line=lines.get(options.line)) as world:
            if options.rate > 0:
                world.begin("plain", calls=None, rate=options.rate, pause_ms=3000, timeout=_FOR_EVER)
            console.print(_instructions(world, options.rate), markup=False, highlight=False, soft_wrap=True)
            wait_until(lambda: not world.kamailio.process.is_running, "Kamailio ends", _FOR_EVER, interval=0.5)
            console.print(world.kamailio.log()[-3000:], markup=False, highlight=False)
            console.print("Kamailio has ended by itself.")
    except (LineError, StartFailedError) as error:
        console.print(str(error), markup=False, highlight=False)
    return 1


def _instructions(world: World, rate: float) -> str:
    installed = Path(sys.executable).with_name("kemi-rtp")
    command = str(installed) if installed.exists() else f"{sys.executable} -m kemi_rtp.command.main"
    names = ", ".join(f"{name} ({node.url})" for name, node in world.nodes.items())
    version = world.kamailio.line.version()
    return f"""\
Kamailio {version} listens on udp:{world.proxy}; it relays calls to registered users and to other hosts.
rtpengine daemons: {names}
Calls go through it: {f"{rate:g} per second, 3 s each" if rate > 0 else "none"}

In another terminal:

  export KEMI_RTP_NODES={world.nodes_file}
  alias kemi-rtp='{command}'

  kemi-rtp show                                   # what each node is and why
  kemi-rtp drain rtp1 --reason "kernel update"    # no new calls, existing calls are served
  kemi-rtp disable rtp2 --reason "NIC swap"       # nothing is sent to it any more
  kemi-rtp enable rtp2
  kemi-rtp history
  kemi-rtp reload                                 # after an edit of the nodes file

  tail -f {world.folder}/kamailio.log
  tail -f {world.folder}/rtp2.log   # one line for every packet that reaches rtp2

Ctrl-C ends everything.
"""


if __name__ == "__main__":
    sys.exit(main())
