"""What must outlive a power loss is written aside, synced, renamed, and the directory synced."""
import re

import pytest

from tests.lab.lab import Lab
from tests.lab.pair import ACTIVATE, SETUP, Pair, cluster_lab

TRACE = ("strace", "-ff", "--seccomp-bpf", "-yy", "-e", "signal=none", "-e", "status=successful",
         "-e", "trace=openat,write,fsync,rename,renameat,renameat2", "-o", "/tmp/trace")
ALWAYS = ("/HA/.xcatha/cluster.json", "/HA/.xcatha/history", "/etc/hosts")
RECORDS = {"setup": (*ALWAYS, "/HA/.xcatha/nodes/host1.json"),
           "activate": (*ALWAYS, "/HA/.xcatha/hosts")}
CALL = re.compile(r'^(openat)\(.*?, "([^"]+)", (\S+?)[,)]'
                  r'|^(write|fsync)\(\d+<([^<>]*)>'
                  r'|^(rename)(?:at2?)?\((?:.*?, )?"([^"]+)", (?:.*?, )?"([^"]+)"')


def traced(host, line):
    """Run a command under strace; the system calls of each thread, as tuples."""
    host.succeed(*TRACE, *line)
    listing = host.succeed("find", "/tmp", "-name", "trace.*").split()
    return [calls(host.succeed("cat", path)) for path in listing]


def calls(trace):
    """The calls of a trace: (name, path) or ("rename", from, to); no opens to read."""
    found = [match.groups() for match in map(CALL.match, trace.splitlines()) if match]
    named = [tuple(word for word in groups if word) for groups in found]
    return [call[:2] if call[0] == "openat" else call for call in named
            if call[0] != "openat" or "O_RDONLY" not in call[2]]


def renames(threads, path):
    """For each time that something was renamed to `path`: its name before, the calls around it."""
    return [(call[1], thread[:number], thread[number + 1:]) for thread in threads
            for number, call in enumerate(thread) if call[0] == "rename" and call[2] == path]


@pytest.fixture(scope="module")
def runs():
    """The traces of the first setup, and of an activate that takes over what host1 had."""
    with Lab() as lab:
        first = traced(lab.host1, Pair(lab, "postgresql").line(SETUP, lab.host1))
    with cluster_lab() as lab:
        second = traced(lab.host2, Pair(lab, "postgresql").line(ACTIVATE, lab.host2))
    return {"setup": first, "activate": second}


@pytest.fixture(params=RECORDS)
def run(request, runs):
    """The trace of a run, and the records that it writes."""
    return runs[request.param], RECORDS[request.param]


def test_every_record_is_written_aside_and_synced_before_it_is_renamed(run):
    threads, records = run
    for record in records:
        assert renames(threads, record), record
        for aside, before, _ in renames(threads, record):
            last_write = max(n for n, call in enumerate(before) if call == ("write", aside))
            assert ("fsync", aside) in before[last_write:], record


def test_directory_of_every_record_is_synced_before_anything_else_is_written(run):
    threads, records = run
    for record in records:
        for _, _, after in renames(threads, record):
            next_change = next(call for call in after if call[0] != "openat")
            assert next_change == ("fsync", record.rpartition("/")[0]), record


def test_no_record_is_opened_for_writing_in_its_place(run):
    threads, records = run
    opened = [call[1] for thread in threads for call in thread if call[0] == "openat"]
    assert opened
    assert set(opened).isdisjoint(records)
