"""What ends when the lease is lost, in which order, and when the node reboots.

The function that may reboot is handed in, so that none of these tests can.
"""

import contextlib
import errno
import logging
import os
import select
import threading
import time

import pytest

import xcatha

L = 9
PID, HOLDER = 10 ** 9, 10 ** 9 + 1  # no processes of this machine


class Libc:
    """Notes when it was asked to reboot; that ends the fence."""

    def __init__(self):
        self.calls = []

    def reboot(self, how):
        self.calls.append(("reboot", how, time.monotonic()))
        raise SystemExit

    def syncfs(self, descriptor):
        self.calls.append(("syncfs", descriptor, time.monotonic()))
        return 0


@pytest.fixture
def lose(monkeypatch):
    """Loses the lease; what was called, and when the last heartbeat was."""

    def run(whose, ends_by, reboots=True, answers_after=0, looks=None,
            guarded=("xcatd.service",), finished=False):
        """ends_by: what ends the service's process, "order", SIGKILL ("kill") or nothing ("")."""
        libc, last = Libc(), time.monotonic() - L * xcatha.GIVE_UP
        left, real = [PID], xcatha.kill

        def look(*_):
            time.sleep(answers_after)
            return whose

        def kill(*pids):
            real(*{*pids} - {PID, HOLDER})
            libc.calls.extend(("kill", pid, time.monotonic()) for pid in pids
                              if pid in (PID, HOLDER))
            if PID in pids and ends_by == "kill":
                left.clear()

        def stop(*_, **__):
            libc.calls.append(("stop", "", time.monotonic()))
            if ends_by == "order":
                left.clear()

        once = {"repeat": lambda pause, action, *args: action(*args)}
        stand_ins = dict(once, renew_lease=look, kill=kill, do=stop, log_loss=str)
        stand_ins.update(needing_lease=looks or (lambda share: list(left)), vips_of_lease=list)
        stand_ins.update(SETTLE=0, forget_lease=list)
        stand_ins.update(guarded_here=lambda: list(guarded))
        for name, value in stand_ins.items():
            monkeypatch.setattr(xcatha, name, value)
        lease = {"share": "/HA", "last": last, "limit": L, "holder": HOLDER, "vip": ""}
        lease.update(descriptor=-1, life={}, reboots=reboots, finished=finished)
        with contextlib.suppress(SystemExit):
            xcatha.end_service(lease, "a test", libc)
        return [call[:2] for call in libc.calls], libc.calls[-1][2] - last

    return run


REBOOT = ("reboot", 0x01234567)


def test_service_ends_in_order_where_the_share_says_that_the_lease_is_still_this_nodes(lose):
    calls, _ = lose("ours", "order")
    assert calls == [("kill", HOLDER), ("stop", "")]


def test_what_does_not_end_in_order_is_killed_and_its_writes_reach_the_share(lose):
    calls, when = lose("ours", "kill")
    assert calls == [("kill", HOLDER), ("stop", ""), ("kill", PID), ("syncfs", -1)]
    assert when >= L * xcatha.KILL


def test_service_is_killed_before_its_holder_where_the_share_is_silent(lose):
    calls, when = lose("unknown", "kill")
    assert calls == [("kill", PID), ("kill", HOLDER), REBOOT]
    assert L * xcatha.REBOOT <= when < L


def test_node_reboots_where_a_process_cannot_be_killed(lose):
    calls, when = lose("ours", "")
    assert calls[-1] == REBOOT and ("syncfs", -1) not in calls
    assert L * xcatha.REBOOT <= when < L


def test_node_reboots_at_once_where_the_lease_is_another_nodes(lose):
    calls, when = lose("another's", "kill")
    assert calls == [("kill", PID), ("kill", HOLDER), REBOOT]
    assert when < L * xcatha.REBOOT


def test_share_that_answers_too_late_for_an_orderly_end_but_before_the_reboot_saves_it(lose):
    calls, when = lose("ours", "kill", answers_after=L / 9)
    assert calls == [("kill", PID), ("kill", HOLDER), ("syncfs", -1)]
    assert when < L * xcatha.REBOOT + L / 9


@pytest.mark.parametrize("whose", ["unknown", "another's"])
def test_node_on_a_filesystem_of_its_own_does_not_reboot(lose, whose):
    calls, _ = lose(whose, "kill", reboots=False)
    assert calls == [("kill", PID), ("kill", HOLDER)]


def test_node_whose_first_setup_has_not_come_to_the_guard_does_not_reboot(lose):
    calls, _ = lose("unknown", "kill", guarded=())
    assert calls == [("kill", PID), ("kill", HOLDER)]


def test_further_nodes_setup_that_has_not_come_to_the_guard_reboots(lose):
    """Its database works on finished data, which the other node takes over."""
    calls, _ = lose("unknown", "kill", guarded=(), finished=True)
    assert calls == [("kill", PID), ("kill", HOLDER), REBOOT]


def test_node_that_cannot_make_a_process_kills_and_reboots(lose, monkeypatch):
    def fork():
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    calls, _ = lose("unknown", "kill")
    assert calls == [("kill", PID), ("kill", HOLDER), REBOOT]


def test_node_reboots_where_no_thread_gets_on(lose, monkeypatch):
    """Python waits with the kernel for what has no end: a child process reboots."""
    ours, childs = os.pipe()
    monkeypatch.setattr(Libc, "reboot", lambda *_: os.write(childs, b"reboot"))
    last, rebooted = time.monotonic() - L * xcatha.GIVE_UP, []

    def hang(share):
        rebooted.extend(select.select([ours], [], [], L)[0] and [time.monotonic() - last])
        return []

    lose("ours", "order", looks=hang)
    assert L * xcatha.REBOOT <= rebooted[0] < L


def test_node_that_stands_by_in_time_is_not_rebooted_later(lose, monkeypatch):
    ours, childs = os.pipe()
    monkeypatch.setattr(Libc, "reboot", lambda *_: os.write(childs, b"reboot"))
    _, when = lose("ours", "order")
    os.close(childs)  # the child has the last one
    assert select.select([ours], [], [], L)[0] and os.read(ours, 9) == b""


def test_log_that_hangs_holds_up_no_other_thread(monkeypatch, tmp_path):
    """A write to /var/log that never ends must not keep the VIP here."""
    writing, goes_on = threading.Event(), threading.Event()

    class Hanging(logging.StreamHandler):
        def emit(self, record):
            writing.set()
            goes_on.wait()

    with open(str(tmp_path / "log"), "w") as stream:
        monkeypatch.setattr(xcatha.logging.root, "handlers", [])
        monkeypatch.setattr(
            xcatha, "open_log", lambda path: logging.root.addHandler(Hanging(stream)))
        hanging = xcatha.beside(xcatha.log_loss, "the lease is lost")
        assert writing.wait(10)
        assert xcatha.beside(xcatha.log.info, "the VIP goes").result(10) is None
        assert not hanging.done()
        goes_on.set()
        assert hanging.result(10) is None
