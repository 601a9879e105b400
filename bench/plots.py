"""PNGs from the JSON of the benches."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

STOCK, KEMI_RTP, THIRD = "#b0563a", "#2a6f97", "#7a7a7a"


def draw(name: str, folder: Path) -> list[Path]:
    """Draw what there is to draw of a bench; returns the files. Says so when matplotlib is missing."""
    painter = PAINTERS.get(name)
    path = folder / f"{name}.json"
    if painter is None or not path.exists():
        return []
    try:
        import matplotlib
    except ImportError:
        print("no plots: matplotlib is not installed (make bench installs it)")
        return []
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True})
    pyplot.rcParams.update({"grid.alpha": 0.3, "axes.titlesize": 10, "axes.titlelocation": "left"})
    document = json.loads(path.read_text())
    figure = painter(pyplot, document, folder)
    target = folder / f"{name}.png"
    note = f"{document['date'][:10]}, {document['machine']['cpu']}, {document['machine']['cores']} cores"
    if document["quick"]:
        note += ": QUICK RUN, figures mean nothing"
    figure.text(0.995, 0.005, note, ha="right", va="bottom", fontsize=7, color="#666666")
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
    return [target]


def _freeze(pyplot: Any, document: dict[str, Any], folder: Path) -> Any:
    outcomes = document["data"]["outcomes"]
    columns = 2
    rows = -(-len(outcomes) // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(10, 2.4 * rows + 0.6), sharey=True, layout="constrained", squeeze=False
    )
    for one, axis in zip(outcomes, axes.flat, strict=False):
        for side, color in (("stock", STOCK), ("kemi_rtp", KEMI_RTP)):
            setups = one[side]["setups"]
            label = f"{side}: {one[side]['failed']} of {one[side]['calls']} failed"
            # SIPp's clock may stand still for 4 ms: what took no time is drawn as 1 ms
            begins, times = [begin for begin, _ in setups], [max(ms, 1) for _, ms in setups]
            axis.scatter(begins, times, s=4, color=color, label=label, linewidths=0)
        axis.axvline(document["parameters"]["fault_at"], color="#333333", linewidth=0.8, linestyle="--")
        axis.set_yscale("log")
        axis.set_title(f"{one['case']} (Kamailio {one['version']})")
        axis.legend(loc="upper right", fontsize=7, markerscale=3)
        axis.set_ylabel("setup, ms")
        axis.set_xlabel("call begins, s")
    for axis in list(axes.flat)[len(outcomes) :]:
        axis.set_visible(False)
    figure.suptitle("INVITE to 200 of every call; a node of three falls sick at the dashed line")
    return figure


def _cpu(pyplot: Any, document: dict[str, Any], folder: Path) -> Any:
    cases = document["data"]
    figure, axes = pyplot.subplots(len(cases), figsize=(7, 2.1 * len(cases)), layout="constrained", sharex=True)
    for axis, (case, of) in zip(axes, cases.items(), strict=True):
        names = list(of["rounds"])[::-1]
        for place, name in enumerate(names):
            values = of["rounds"][name]["all"]
            color = KEMI_RTP if name.startswith("kemi_rtp") else THIRD
            axis.scatter(values, [place] * len(values), s=14, color=color, alpha=0.6, linewidths=0)
            axis.plot([sorted(values)[len(values) // 2]] * 2, [place - 0.3, place + 0.3], color=color, linewidth=2)
        axis.set_yticks(range(len(names)), names)
        axis.set_title(case, fontsize=9)
        axis.set_xlim(left=0)
    axes[-1].set_xlabel("ms")
    figure.suptitle("CPU per call, all Kamailio processes (dots: rounds, line: median)", fontsize=10)
    return figure


def _growth(pyplot: Any, document: dict[str, Any], folder: Path) -> Any:
    own = document["data"]
    others = {
        name: json.loads((folder / f"{name}.json").read_text())["data"]
        for name in ("choose", "registry", "start", "memory")
        if (folder / f"{name}.json").exists()
    }
    curves: list[tuple[str, str, str, list[tuple[str, dict[str, float], str]]]] = []
    if "choose" in others:
        of = others["choose"]["microseconds"]
        lines = [
            (f"{share} disabled", {size: figures["choose and bind"] for size, figures in of[share].items()}, color)
            for share, color in (("none", KEMI_RTP), ("half", "#61a5c2"), ("all but one", "#013a63"))
        ]
        module = others["choose"]["module_microseconds"]["all"]
        lines.append(("module: a command that finds no node", {s: f["delete"] for s, f in module.items()}, STOCK))
        curves.append(("choosing and binding", "µs", "nodes", lines))
        rebuild = {size: figures["view made anew"] / 1000 for size, figures in of["none"].items()}
        curves.append(("once per worker after a change", "ms", "nodes", [("the view made anew", rebuild, KEMI_RTP)]))
    curves.append(
        (
            "CPU per call",
            "ms",
            "nodes",
            [
                ("all processes", own["cpu_ms_per_call"], KEMI_RTP),
                ("SIP workers", own["cpu_ms_per_call_workers"], "#61a5c2"),
            ],
        )
    )
    curves.append(("CPU without calls", "% of a core", "nodes", [("probing", own["idle_cpu_percent"], KEMI_RTP)]))
    commands = own["command_ms"]
    curves.append(
        (
            "the command",
            "ms",
            "nodes",
            [("kemi-rtp disable", commands["disable"], KEMI_RTP), ("kemi-rtp show", commands["show"], "#61a5c2")],
        )
    )
    if "start" in others:
        seconds = others["start"]["seconds"]
        curves.append(
            (
                "Kamailio's start",
                "s",
                "nodes",
                [("kemi_rtp", seconds["kemi_rtp"], KEMI_RTP), ("plain KEMI", seconds["plain KEMI"], THIRD)],
            )
        )
    if "memory" in others:
        kb = others["memory"]["kb"]
        lines = [
            (name, {size: of["worker_pss"] / 1024 for size, of in kb[name].items()}, color)
            for name, color in (("kemi_rtp", KEMI_RTP), ("plain KEMI", THIRD))
        ]
        curves.append(("memory of a SIP worker", "MB (PSS)", "nodes", lines))
    if "registry" in others:
        ms = others["registry"]["ms"]
        curves.append(
            (
                "registry",
                "ms",
                "entries",
                [
                    ("reading", ms["load"], KEMI_RTP),
                    ("reading, after an edit by hand", ms["load_edited"], THIRD),
                    ("changing", ms["change"], "#61a5c2"),
                ],
            )
        )
        curves.append(
            (
                "registry: what people see",
                "ms",
                "entries",
                [("kemi-rtp disable", ms["command"], KEMI_RTP), ("Kamailio's start", ms["start"], "#61a5c2")],
            )
        )
    rows = -(-len(curves) // 2)
    figure, axes = pyplot.subplots(rows, 2, figsize=(10, 2.5 * rows + 0.3), layout="constrained", squeeze=False)
    for (title, unit, over, lines), axis in zip(curves, axes.flat, strict=False):
        for label, of, color in lines:
            sizes = sorted(of, key=int)
            values = [of[size] for size in sizes]
            axis.plot([int(size) for size in sizes], values, marker="o", markersize=4, label=label, color=color)
        axis.set_xscale("log")
        axis.set_ylim(0, 1.15 * max(value for _, of, _ in lines for value in of.values()))
        axis.set_title(title)
        axis.set_ylabel(unit)
        axis.set_xlabel(over)
        axis.legend(fontsize=7)
    for axis in list(axes.flat)[len(curves) :]:
        axis.set_visible(False)
    return figure


PAINTERS: dict[str, Callable[[Any, dict[str, Any], Path], Any]] = {"cpu": _cpu, "freeze": _freeze, "growth": _growth}
