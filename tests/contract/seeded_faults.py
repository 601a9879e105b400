"""Seeds faults in a copy of the stub, one at a time, and shows that contract tests notice each.

Run it with `python -m tests.contract.seeded_faults`; it takes some minutes, so it is no part of `make test`.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOCK = Path("KSR/mock")
TESTS_FAILED = 1  # pytest's exit status; above it nothing was tested


@dataclass(frozen=True)
class Fault:
    """One wrong line: what it makes of the stub, where it is, and the contract tests that must fail."""

    name: str
    file: str
    right: str
    wrong: str
    tests: str


FAULTS = [
    Fault(
        "wrong return: sht_setxi returns 1 on 5.6",
        "modules/htable.py", "return 1 if process.kamailio.line.since(6, 0, 2) else 0", "return 1", "test_htable",
    ),
    Fault(
        "wrong type accepted: a text for an int",
        "engine/arguments.py",
        "    value = _index(arg)\n    if value > INT_MAX",
        "    value = int(arg)\n    if value > INT_MAX",
        "test_htable",
    ),
    Fault(
        "wrong count accepted: surplus arguments on 5.6",
        "engine/arguments.py", "    if len(args) != len(wanted):", "    if len(args) < len(wanted):", "test_htable",
    ),
    Fault(
        "missing expiry: sht_get gives expired items",
        "htable/table.py",
        "if cell is None or (self.autoexpire > 0 and 0 < cell.expire < self.kamailio.clock.seconds):",
        "if cell is None:", "test_htable",
    ),
    Fault(
        "sht_inc creates a missing key",
        "htable/table.py",
        "            if self.initval is None:\n                return None\n            cell = self._add",
        "            if self.initval is None:\n                self._add(key, amount, 0)\n"
        "                return amount\n            cell = self._add",
        "test_htable",
    ),
    Fault(
        "an iterator goes in order of insertion",
        "htable/table.py", "order = (cell_id & (self.slots - 1), cell_id, next(self._sequence))",
        "order = (0, 0, next(self._sequence))", "test_htable",
    ),
    Fault(
        "a new AVP goes below the others",
        "pv/state.py", "setdefault(name, []).insert(0, value)", "setdefault(name, []).append(value)", "test_pv",
    ),
    Fault(
        "$xavp(a=>x) adds to the root that is there",
        "pv/xavp.py", "elif root.index is None:", "elif root.index is None and not process.xavps:", "test_pv",
    ),
    Fault(
        "an appended header is there at once",
        "modules/hdr.py",
        "    process.message.insert(len(process.message.headers), text)\n    return 1\n\n\n@kemi(\"hdr.append_after\")",
        "    process.message.insert(len(process.message.headers), text)\n    process.message.apply_changes()\n"
        "    return 1\n\n\n@kemi(\"hdr.append_after\")",
        "test_headers",
    ),
    Fault(
        "the failure route is not run",
        "engine/worker.py", '    route = transaction.armed.pop("failure", "")', '    route = ""', "test_routing",
    ),
    Fault(
        "a parameter added after record_route is lost",
        "modules/rr.py", "    params = message.rr_params\n", "    params = list(message.rr_params)\n", "test_routing",
    ),
    Fault(
        "a refused SDP leaves rtp_inst_pvar alone",
        "rtpengine/commands.py", "        if module.rtp_inst_pvar:",
        '        if module.rtp_inst_pvar and reply["result"] == "ok":', "test_rtpengine",
    ),
    Fault(
        "an unknown set is selected",
        "modules/rtpengine.py", "    if found is None:\n        return -1\n    select_sets(process, found, None)",
        "    if found is None:\n        return 1\n    select_sets(process, found, None)", "test_rtpengine",
    ),
    Fault(
        "a permanent disable survives rtpengine.ping",
        "rtpengine/module.py",
        "        if not self.ping(node):\n            self.disable_for_a_while(node)\n            return False",
        "        if not self.ping(node):\n            if not node.permanent:\n"
        "                self.disable_for_a_while(node)\n            return False",
        "test_rtpengine",
    ),
    Fault(
        "a reload keeps nodes that left the table",
        "rtpengine/module.py", "            node.displayed, node.disabled, node.recheck_ticks = False, 1, PERMANENT",
        "            pass", "test_rtpengine_table",
    ),
    Fault(
        "JSON is printed with blanks",
        "modules/jsonrpcs.py", '    tabs = "\\t" * (depth + 1)', '    tabs = "  " * (depth + 1)', "test_rpc",
    ),
]  # fmt: skip


def seed(fault: Fault, stubs: Path) -> None:
    """Make a copy of the stub with the fault in it."""
    shutil.copytree(ROOT / "stubs", stubs)
    file = stubs / MOCK / fault.file
    text = file.read_text()
    if text.count(fault.right) == 0:
        raise LookupError(f"{fault.file} no longer has what the fault {fault.name!r} replaces")
    file.write_text(text.replace(fault.right, fault.wrong, 1))


def noticed(fault: Fault) -> str:
    """Run the contract tests on the faulty copy and return pytest's last line; it is empty when all pass."""
    with tempfile.TemporaryDirectory() as folder:
        seed(fault, Path(folder, "stubs"))
        command = [
            sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", f"--basetemp={folder}/tests",
            "-o", f"pythonpath={folder}/stubs .", "--line", "5.6", f"tests/contract/{fault.tests}.py",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode > TESTS_FAILED:
        raise RuntimeError(f"pytest could not run: {done.stdout}{done.stderr}")
    return done.stdout.strip().splitlines()[-1] if done.returncode else ""


def main() -> int:
    """Seed each fault; the result is the number of faults that nothing noticed."""
    missed = 0
    for fault in FAULTS:
        found = noticed(fault)
        missed += not found
        print(f"{fault.name}: {found or 'NOT NOTICED'}", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main())
