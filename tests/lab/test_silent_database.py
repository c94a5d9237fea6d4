"""A standby whose own cfgloc names the VIP, where no database answers, is quick and truthful."""
import json
import subprocess
import time

import pytest

from tests.lab.pair import ACTIVATE, SETUP, XCAT, Pair, pair_lab

FIRST = "chrt --rr 1".split()  # before all that keeps the machine busy otherwise
TRACE = "strace -f -qq --seccomp-bpf -e trace=execve -o /root/trace".split()
STATUS = "python xcatha.py --status".split()
CFGLOC = "Pg:dbname=xcatdb;host=10.5.106.50|xcatadm|cluster\n"


@pytest.fixture(scope="module")
def pair():
    """Two standbys, both as xCAT's switching tool left them."""
    with pair_lab() as lab:
        for host in lab.hosts:
            host.succeed("tee", "/etc/xcat/cfgloc", input=CFGLOC)
        yield Pair(lab, "postgresql")


@pytest.fixture
def standby(pair):
    return pair.lab.host1


def recorded(host):
    """What the share says of this node."""
    return json.loads((host.share / f".xcatha/nodes/{host.name}.json").read_text())


def asked(host):
    """The names of the programs that the last traced run started."""
    # Where two start at the same moment, strace ends a line early and gives the result in another.
    lines = host.succeed("cat", "/root/trace").splitlines()
    return {line.split('"')[1].rpartition("/")[2] for line in lines
            if ") = 0" in line or "<unfinished" in line}


def test_xcat_itself_blocks_there(standby):
    with pytest.raises(subprocess.TimeoutExpired):
        standby.run("lsxcatd", "-v", env={**XCAT, "XCATBYPASS": "1"}, timeout=3)


def test_status_answers_within_two_seconds(standby, tell):
    times = []
    for _ in range(3):
        started = time.monotonic()
        standby.fail(*FIRST, *STATUS, code=1)  # a standby's own cfgloc should lead elsewhere
        times.append(time.monotonic() - started)
    tell(f"--status of a standby whose cfgloc names a silent database: {min(times):.2f} s")
    assert min(times) < 2


def test_setup_again_asks_xcat_nothing_and_records_its_version(pair, standby):
    pair.setup(standby)  # puts cfgloc right
    started = time.monotonic()
    standby.succeed(*TRACE, *pair.line(SETUP, standby))
    assert time.monotonic() - started < 15
    assert not asked(standby) & {"lsxcatd", "lsdef", "tabdump"}
    assert recorded(standby)["xcat"] == "2.19"
    standby.fail(*STATUS, code=3)


def test_activate_asks_no_version_of_xcat_and_warns_of_none(pair, standby):
    done = standby.run(*TRACE, *pair.line(ACTIVATE, standby))
    assert done.returncode == 0 and "differs" not in done.stderr, standby.report(done)
    assert "lsxcatd" not in asked(standby) and "dpkg-query" in asked(standby)
    assert recorded(standby)["xcat"] == "2.19"
