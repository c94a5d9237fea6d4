"""The pictures of a run: a planned failover as bars in time, and the downtime of existing nodes."""
import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "xcatha", "font.size": 8})

from matplotlib import pyplot  # noqa: E402

from tests.bench.table import NAMES  # noqa: E402
from tests.bench.timeline import seconds  # noqa: E402

AWAY, OLD, NEW = "#c0392b", "#7f8c8d", "#2471a3"
SHORTEST = 0.02


def typical(transitions):
    """The planned failover whose length is the median one's."""
    planned = [found for found in transitions if found["kind"] == "planned"]
    length = sorted(planned, key=lambda found: found["runs"][-1]["ended"] - found["began"])
    return length[len(length) // 2]


def bars(found):
    """(title, begin, end, colour), from the top: what the client misses, then the steps."""
    old, new = found["runs"]
    spans = [(f"{NAMES[service]} away", gap, AWAY) for service, gap in found["blackouts"].items()]
    for run, colour in ((old, OLD), (new, NEW)):
        spans += [(step["what"], step, colour) for step in run["steps"]
                  if seconds(step) >= SHORTEST]
    return [(title, span["began"] - found["began"], span["ended"] - found["began"], colour)
            for title, span, colour in spans]


def failover(transitions, path):
    """Draw a planned failover: one bar per step, the blackouts above."""
    found = typical(transitions)
    drawn = bars(found)
    figure, axes = pyplot.subplots(figsize=(7.5, 0.17 * len(drawn) + 0.6))
    for row, (title, began, ended, colour) in enumerate(drawn):
        axes.barh(row, ended - began, left=began, color=colour, height=0.7)
        axes.text(ended + 0.05, row, f"{title} {ended - began:.2f}", va="center", fontsize=6)
    axes.invert_yaxis()
    axes.set_yticks([])
    axes.set_xlabel("seconds; red: missed by the client, grey: deactivate, blue: activate")
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.set_xlim(0, max(ended for _, _, ended, _ in drawn) * 1.2)
    save(figure, path)


def downtime(points, path):
    """Draw how long existing nodes are down, beside how long their first pass takes."""
    figure, axes = pyplot.subplots(figsize=(4, 2.4))
    files = [point["files"] for point in points]
    for name, label in (("first pass", "first pass, still serving"), ("down", "services down")):
        axes.plot(files, [point[name] for point in points], marker="o", label=label)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("files in /install")
    axes.set_ylabel("seconds")
    axes.legend(frameon=False)
    save(figure, path)


def save(figure, path):
    """The same data give the same file."""
    figure.savefig(path, metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    pyplot.close(figure)
