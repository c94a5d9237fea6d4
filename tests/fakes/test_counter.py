"""Where a lock may not reach the other node, and where clocks lie: the holder's counter decides.

The share is a tmpfs, of whose locks the script knows nothing.
"""
import concurrent.futures
import functools
import json
import os
import sys

import pytest

from tests.fakes.conftest import PAIR
from tests.fakes.lines import ACTIVATE, DEACTIVATE
from tests.fakes.node import cluster, mounted
from tests.lab.image import wait_for
from tests.watcher import Watcher, lock_is_free, servers_on_two_hosts

VIP = "10.5.106.50"
REFUSE_LOCKS = (
    "strace -f --seccomp-bpf -qq -o /dev/null -P /HA/.xcatha/lease "
    "-e trace=flock -e inject=flock:error=ENOLCK"
).split()
DROP_IN = "/etc/systemd/system/xcatha-lease.service.d/fakes.conf"
HOLDER = f"strace -D {' '.join(REFUSE_LOCKS[1:])} {sys.executable} /run/xcatha/xcatha.py"


@pytest.fixture
def members(home, set_up):
    """Two nodes after setup, both standing by, whose share has locks that count for nothing."""
    with mounted(home / "share", "-t", "tmpfs", "tmpfs"), cluster(home, PAIR, set_up) as nodes:
        for node in nodes:
            node.shorten(LEASE_TIME=18)
        yield nodes


def set_clock_of_records(share):
    """All that the share tells of times is of a clock that was years ahead."""
    record = share / ".xcatha/cluster.json"
    text = json.loads(record.read_text())
    text["since"] = "2099-12-31T23:59:59+00:00"
    record.write_text(json.dumps(text))
    for file in (record, share / ".xcatha/lease"):
        os.utime(file, (4102444799, 4102444799))


def test_released_pair_is_activated_without_watching_the_counter(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    host1.xcatha(*DEACTIVATE)
    assert "watching" not in host2.xcatha(*ACTIVATE).stdout


def test_failed_activate_and_a_deactivate_leave_no_counter_to_watch(members):
    host1, host2 = members
    host1.plan("FAIL_ON", "systemctl start xcatd")
    host1.xcatha(*ACTIVATE, code=1)
    host1.heal()
    host1.xcatha(*DEACTIVATE)
    assert "watching" not in host2.xcatha(*ACTIVATE).stdout


def test_standby_does_not_release_the_lease_of_a_node_that_the_record_does_not_name_yet(members):
    """-d on the node that was active before, just then."""
    host1, host2 = members
    host2.xcatha(*ACTIVATE)
    host2.power_off()
    host1.plan("SIGKILL_ON", "systemctl start xcatha-lease")
    host1.fail(*host1.script(*ACTIVATE))
    host1.heal()
    host1.succeed("systemctl", "start", "xcatha-lease")
    host2.boot()
    host2.xcatha(*DEACTIVATE)
    assert "counter on the share moves" in host2.xcatha(*ACTIVATE, code=3).stderr


def test_standby_is_refused_while_the_counter_moves(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    refused = host2.xcatha(*ACTIVATE, code=3)
    assert "host1 is active" in refused.stderr
    assert "counter on the share moves" in refused.stderr


def test_standby_takes_over_when_the_counter_stands(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    host1.power_off()
    assert "watching" in host2.xcatha(*ACTIVATE).stdout
    assert VIP in host2.addresses()


def test_wrong_clock_does_not_let_a_standby_pass(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    set_clock_of_records(host1.share)
    assert "counter" in host2.xcatha(*ACTIVATE, code=3).stderr


def test_wrong_clock_does_not_keep_a_standby_from_taking_over(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    set_clock_of_records(host1.share)
    host1.power_off()
    host2.xcatha(*ACTIVATE)
    assert VIP in host2.addresses()


# ---- Two activates at once -------------------------------------------------------------------

def refuse_locks(node):
    """The lease's holder is refused its lock; the words before a command that is to be as well."""
    text = f"[Service]\nExecStart=\nExecStart={HOLDER} --hold-lease /HA\n"
    node.succeed("install", "-D", "-m", "644", "/dev/stdin", DROP_IN, input=text)
    return REFUSE_LOCKS


def both_at_once(members, before):
    """Run -a on both nodes at the same instant; the exit codes."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(node.run, *before, *node.script(*ACTIVATE)) for node in members]
    return [run.result().returncode for run in runs]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("refused", [False, True], ids=["locks not trusted", "locks refused"])
def test_of_two_activates_at_the_same_instant_at_most_one_wins(members, refused):
    before = [refuse_locks(node) for node in members][0] if refused else []
    data = members[0].share / "var/lib/pgsql/data"
    for _ in range(5):
        with Watcher(functools.partial(servers_on_two_hosts, data)):
            codes = both_at_once(members, before)
            assert sorted(codes) in ([0, 1], [0, 3], [1, 1], [1, 3], [3, 3]), codes
            winner = members[codes.index(0) if 0 in codes else 0]
            winner.succeed(*before, *winner.script(*ACTIVATE))
        assert [VIP in node.addresses() for node in members] == [node is winner for node in members]
        winner.xcatha(*DEACTIVATE)


def test_node_about_to_be_active_is_not_taken_for_a_dead_one(members):
    """Its lock is seen, but the record does not name it yet."""
    host1, host2 = members
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(host1.xcatha, *ACTIVATE)
        wait_for(lambda: not lock_is_free(host1.share / ".xcatha/lease"), 30, "the lock")
        assert "counter on the share moves" in host2.xcatha(*ACTIVATE, code=3).stderr
        assert "successfully" in first.result().stdout


def test_lease_that_the_record_does_not_name_yet_is_respected_where_locks_are_refused(members):
    """However long its node needs for its next step."""
    host1, host2 = members
    before = [refuse_locks(node) for node in members][0]
    host1.plan("SIGKILL_ON", "systemctl start xcatha-lease")
    host1.fail(*before, *host1.script(*ACTIVATE))
    host1.heal()
    host1.succeed("systemctl", "start", "xcatha-lease")
    refused = host2.fail(*before, *host2.script(*ACTIVATE), code=3)
    assert "host1 is active" in refused.stderr and "counter on the share moves" in refused.stderr
    host1.succeed("systemctl", "is-active", "xcatha-lease")
