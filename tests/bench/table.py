"""The table of a run, made from its raw data: what was measured, beside what, with which goal.

A row is (what, figure, beside, goal, met); met is None where nothing was promised.
"""
from statistics import median

from tests.bench.timeline import covered, seconds

HEADS = ("what", "measured", "beside, in the same run", "goal", "met")
VERDICTS = {True: "yes", False: "no", None: ""}
NAMES = {"vip": "the VIP", "xcatd": "xcatd at the VIP", "dns": "DNS", "dhcp": "DHCP"}


def rows(record):
    """Every row, as far as the record has the data for it."""
    makers = {"failover": failover_rows, "side by side": side_by_side_rows,
              "copying": copying_rows, "scale": scale_rows}
    return [row for part, make in makers.items() if part in record for row in make(record[part])]


def at_most(what, figure, beside, limit, unit="s"):
    """A row whose figure may reach the limit."""
    digits = 3 if unit == "s" and limit < 0.2 else 2 if unit == "s" else 0
    return (what, f"{figure:.{digits}f} {unit}", beside, f"at most {limit} {unit}",
            figure <= limit)


# ---- Failovers on the lab --------------------------------------------------------------------

def failover_rows(found):
    """What the commands cost beside their services, and what clients missed."""
    return [*own_rows(found["transitions"]), *start_rows(found), *blackout_rows(found),
            *neighbour_rows(found["transitions"])]


def runs_of(transitions, command):
    """The runs of a command: deactivate is the first of the two of a planned failover."""
    planned = [transition["runs"] for transition in transitions if transition["kind"] == "planned"]
    return [runs[("deactivate", "activate").index(command)] for runs in planned]


def own_time(run, *more):
    """A run's time, less that in which a service, a tool of xCAT's or one of more was at work."""
    others = run["services"] + [span for spans in more for span in run[spans]]
    return seconds(run) - covered(others, run["began"], run["ended"])


def own_rows(transitions):
    """The overhead of the two commands."""
    on, off = runs_of(transitions, "activate"), runs_of(transitions, "deactivate")
    whole = [f"of {median(map(seconds, runs)):.1f} s" for runs in (on, off)]
    without = median(own_time(run, "probes") for run in on)
    return [
        at_most("activate less its services", median(map(own_time, on)), whole[0], 1.5),
        at_most("and less the address probe", without, whole[0], 0.5),
        at_most("deactivate less its services", median(map(own_time, off)), whole[1], 0.5)]


def start_rows(found):
    """What the script is before it does anything, and its memory."""
    start = found["start"]
    peak = max(run["peak"] for transition in found["transitions"] for run in transition["runs"])
    return [at_most("--help", start["help"], f"Python alone: {start['python']:.3f} s", 0.15),
            at_most("memory at most", peak, "", 50, "MB")]


def blackout_rows(found):
    """For each service and kind of failover, the median of what the client missed."""
    return [blackout_row(found["transitions"], kind, service)
            for kind in ("planned", "unplanned") for service in NAMES]


def blackout_row(transitions, kind, service):
    """How long a service was away, beside what the services on its critical path took.

    After a power loss it counts from the moment at which the administrator types the command.
    """
    pairs = []
    for transition in transitions:
        if transition["kind"] == kind:
            gap = transition["blackouts"][service]
            began = max(gap["began"], transition["runs"][0]["began"])
            services = [span for run in transition["runs"] for span in run["services"]]
            pairs.append((gap["ended"] - began, covered(services, began, gap["ended"])))
    away, own = (median(column) for column in zip(*pairs))
    rest = median(gap - path for gap, path in pairs)
    return (f"{NAMES[service]} away, {kind}", f"{away:.2f} s", f"services' own: {own:.2f} s",
            "1.5 s more", rest <= 1.5)


def neighbour_rows(transitions):
    """The slowest client of all failovers."""
    late = {name: max(transition["heard"][name] - transition["heard"]["added"]
                      for transition in transitions)
            for name in transitions[0]["heard"] if name != "added"}
    return [at_most(f"VIP's new MAC known to the {name}", worst, "since it was added", 0.1)
            for name, worst in late.items()]


# ---- On fakes --------------------------------------------------------------------------------

def side_by_side_rows(found):
    """What tools that take 5, 7 and 3 s take together."""
    return [at_most("DNS 5 s, DHCP 7 s, goconserver 3 s", found["goconserver"]["took"],
                    "in turn: 15 s", 8),
            at_most("DNS 5 s, DHCP 7 s, conserver 3 s", found["conserver"]["took"],
                    "after the DNS: 8 s", 9),
            ("the same, without a key of OMAPI", f"{found['no key of OMAPI']['took']:.2f} s",
             "DHCP after the DNS: 12 s", "", None)]


def copying_rows(found):
    """Speed beside plain rsync; the downtime of existing nodes, which differ in /install."""
    trees, part = [], "" if found["size"] == 1 else f"{found['size']} of "
    for name, times in found["trees"].items():
        plain, ours = min(times["plain"]), min(times["ours"])
        trees.append((f"copy of {part}{name}", f"{ours:.2f} s", f"rsync: {plain:.2f} s, so "
                      f"{plain / ours:.2f}", "ratio 0.9", plain / ours >= 0.9))
    downtime = [(f"existing node down, {point['files']} files", f"{point['down']:.2f} s",
                 f"first pass, while up: {point['first pass']:.2f} s", "", None)
                for point in found["downtime"]]
    return trees + downtime


def scale_rows(found):
    """The script's processor time: linear growth doubles it from half to the full size."""
    grown, part = [], "" if found["size"] == 1 else f"{found['size']} of "
    none = min(points[0]["cpu"] for points in found["scale"].values())  # alike, but for noise
    for title, points in found["scale"].items():
        half, full = (point["cpu"] for point in points[-2:])
        growth = (full - none) / max(half - none, 0.01)
        grown.append((f"activate with {part}{title}, its own", f"{full:.2f} s",
                      f"half: {half:.2f} s, none: {none:.2f} s", "linear, at most 2 s",
                      full <= 2 and (growth < 3 or full - none < 0.1)))
    started = [(f"commands that {title} starts", f"{cost['started']}",
                f"its processor time: {cost['cpu']:.2f} s", "", None)
               for title, cost in found["commands"].items()]
    return grown + started


# ---- Text ------------------------------------------------------------------------------------

def text(record):
    """The table as reStructuredText."""
    words = [HEADS, *((*row[:4], VERDICTS[row[4]]) for row in rows(record))]
    widths = [max(map(len, column)) for column in zip(*words)]
    bar = " ".join("=" * width for width in widths)
    lines = [" ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip()
             for row in words]
    return "\n".join([bar, lines[0], bar, *lines[1:], bar])


def circumstances(record):
    """Where and when it was measured."""
    priority = " at real-time priority" if record["real time"] else ""
    return (f"{record['date']}{priority}, {record['cpus']} processors, load "
            f"{record['load before']:.1f} before and {record['load after']:.1f} after")
