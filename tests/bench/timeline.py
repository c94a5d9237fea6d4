"""What xcatha's log says of a run: when each step and each command was at work."""
import datetime
import re

LINE = re.compile(r"^(\S+ \S+),(\d{3}) - \w+ - (.*)$")
COMMAND = re.compile(r"^(.*) \((\d+\.\d+) s\) \[(?:Passed|Failed|Failed, OK to ignore)\]$")
STEP = re.compile(r"^(.{24}) (.*) \((\d+\.\d+) s\)$")
# What the services and xCAT themselves take; the rest of a run is the script's own.
SERVICE = re.compile(r"^(systemctl (start|stop|restart|enable|disable|kill)|makedns|makedhcp"
                     r"|makeconservercf|makegocons)")


def spans(log, pattern):
    """What the log's lines of this pattern name, each with its begin and end, in order of begin."""
    found = []
    for line in filter(None, map(LINE.match, log.splitlines())):
        match = pattern.match(line[3])
        if match:
            end = moment(line[1]) + int(line[2]) / 1000
            seconds = float(match.groups()[-1])
            found.append({"what": match[1].strip(), "began": end - seconds, "ended": end})
    return sorted(found, key=lambda span: span["began"])


def moment(stamp):
    """Seconds since the epoch of a date and time in UTC, which is what the hosts of the lab use."""
    return datetime.datetime.fromisoformat(stamp + "+00:00").timestamp()


def commands(log):
    """The commands, less the questions that were asked before."""
    return spans(log, COMMAND)


def steps(log):
    """The steps that the administrator sees; a command's line is not one."""
    return spans("\n".join(line for line in log.splitlines() if not line.endswith("]")), STEP)


def services(log):
    """Those of the commands in which a service or a tool of xCAT's was at work."""
    return [span for span in commands(log) if SERVICE.match(span["what"])]


def probes(log):
    """The probe for another machine that has the VIP."""
    return [span for span in commands(log) if span["what"].startswith("arping -D")]


def seconds(span):
    """How long something took."""
    return span["ended"] - span["began"]


def covered(some, began, ended):
    """For how many seconds between two moments at least one of the spans was going on."""
    total, reached = 0, began
    for span in sorted(some, key=lambda span: span["began"]):
        start, end = max(span["began"], reached), min(span["ended"], ended)
        total += max(0, end - start)
        reached = max(reached, end)
    return total
