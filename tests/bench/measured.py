"""What a command costs: python -c THIS COMMAND... runs it and prints its cost as a line of JSON.

`cpu` and `peak` are the command's own, without those of the commands that it starts.
"""
import json
import os
import subprocess
import sys
import threading
import time

PAUSE = 0.02


def peak_of(pid):
    """The most memory that a living process has used, in MB; 0 once it has ended."""
    with open(f"/proc/{pid}/status") as status:
        peaks = [int(line.split()[1]) for line in status if line.startswith("VmHWM")]
    return sum(peaks) / 1024


def watch_memory(pid, found):
    """Note the peak over and over, until the process has ended."""
    peak = peak_of(pid)
    while peak:
        found.append(peak)
        time.sleep(PAUSE)
        peak = peak_of(pid)


def cpu_of(pid):
    """The processor time of a process that has ended and was not yet reaped (proc(5))."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(argv):
    """Run a command; its exit status, when it ran and what it took of processor and memory."""
    began, peaks = time.time(), [0]
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    watcher = threading.Thread(target=watch_memory, args=(child.pid, peaks))
    watcher.start()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    ended, cpu = time.time(), cpu_of(child.pid)
    watcher.join()
    return {"code": child.wait(), "began": began, "ended": ended, "cpu": cpu, "peak": max(peaks)}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:])))
