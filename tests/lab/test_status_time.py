"""--status takes hardly longer than what it asks: systemd, xCAT, packages and Pacemaker."""
import re

import pytest

from tests.lab.pair import Pair, cluster_lab

FIRST = "chrt --rr 1"  # before all that keeps the machine busy otherwise
TRACE = "strace -f --seccomp-bpf -ttt -e trace=execve -o /root/status.trace"
STATUS = "python xcatha.py --status"
LINE = re.compile(r"^(\d+) +([\d.]+) (execve\(\"(?:[^\"]*/)?([^\"/]+)\"|\+\+\+ )", re.M)
ASKED = ("systemctl", "lsdef", "tabdump", "lsxcatd", "crm_mon", "dpkg-query", "psql", "tune2fs")
BOUND = 0.6  # with a quarter of a second each for what the web and the TFTP server deliver
# A second program begins before the first one has ended, and ends a second later.
EXAMPLE = """\
1 100.0 execve("/usr/bin/python", ["python", "xcatha.py"], 0x1 /* 6 vars */) = 0
2 101.0 execve("/usr/bin/systemctl", ["systemctl"], 0x1 /* 8 vars */) = 0
3 101.5 execve("/sbin/lsdef", ["lsdef"], 0x1 /* 8 vars */) = -1 ENOENT (No such file)
3 101.5 execve("/opt/xcat/bin/lsdef", ["lsdef"], 0x1 /* 8 vars */ <unfinished ...>
2 102.0 +++ exited with 0 +++
3 102.9 --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=1, si_uid=0} ---
3 103.0 +++ killed by SIGTERM +++
4 103.1 execve("/usr/bin/stat", ["stat"], 0x1 /* 8 vars */) = 0
4 103.2 +++ exited with 0 +++
1 103.5 +++ exited with 3 +++
"""


def lives(trace):
    """[(program, when it began, when it ended)] in the order of their beginning."""
    began, ended = {}, {}
    for pid, moment, what, program in LINE.findall(trace):
        if what.startswith("execve"):
            began.setdefault(pid, (program, float(moment)))
        else:
            ended[pid] = float(moment)
    return [(*began[pid], ended[pid]) for pid in began]


def own_time(trace):
    """The seconds of a run during which none of the programs that it asks was alive."""
    (_, start, end), *children = lives(trace)
    waited, seen = 0, start
    for program, began, ended in children:
        if program in ASKED:
            waited += max(0, ended - max(began, seen))
            seen = max(seen, ended)
    return end - start - waited


@pytest.fixture(scope="module")
def hosts():
    """Both hosts, host1 active."""
    with cluster_lab() as lab:
        Pair(lab, "postgresql").activate(lab.host1)
        yield {"active": lab.host1, "standby": lab.host2}


def timed(host, code):
    """own_time of one --status, which must exit with this code."""
    done = host.run(*f"{FIRST} {TRACE} {STATUS}".split())
    assert done.returncode == code, host.report(done)
    return own_time(host.succeed("cat", "/root/status.trace"))


def test_time_in_which_two_programs_run_counts_once():
    assert own_time(EXAMPLE) == pytest.approx(1.5)


@pytest.mark.parametrize("role, code", [("active", 0), ("standby", 3)])
def test_status_takes_hardly_longer_than_what_it_asks(hosts, role, code, tell):
    best = min(timed(hosts[role], code) for _ in range(3))
    tell(f"--status of the {role} node: {best:.2f} s beside what it asks")
    assert best < BOUND
