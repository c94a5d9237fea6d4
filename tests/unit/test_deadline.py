"""The deadline of a lease's holder: it no longer writes before another node may."""

import errno
import json
import os
import re

import pytest

import xcatha

# What the fence's looks and a process's end may take, in seconds.
SLACK = 1.5
MOUNTSTATS = """\
device rootfs mounted on / with fstype rootfs
device store:/plain mounted on /HA with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.2,hard
\tnfsv4:\tbm0=0xfdffbfff,acl=0x0,sessions,pnfs=not configured,lease_time=30,lease_expired=0
device store:/second mounted on /HA\\0402 with fstype nfs4 statvers=1.1
\tnfsv4:\tbm0=0xfdffbfff,acl=0x0,sessions,pnfs=not configured,lease_time=60,lease_expired=176
device store:/old mounted on /old with fstype nfs statvers=1.1
\topts:\trw,vers=3,hard
device store:/new mounted on /new with fstype nfs4 statvers=1.1
\tnfsv4:\tbm0=0xfdffbfff,lease_time=0,lease_expired=0
device store:/bionic mounted on /bionic with fstype nfs4 statvers=1.1
\tnfsv4:\tbm0=0xfdffbfff,acl=0x0,sessions,pnfs=not configured
"""


@pytest.mark.parametrize("limit", [30, 60, 90])
def test_every_part_of_the_chain_has_its_time_before_the_lock_is_free(limit):
    chain = [xcatha.GIVE_UP, xcatha.ANSWER, xcatha.KILL, xcatha.REBOOT, 1]
    steps = [(after - before) * limit for before, after in zip(chain, chain[1:])]
    assert min(steps) >= SLACK
    assert (1 - xcatha.REBOOT) * limit >= 10  # for a reboot that is itself slow


@pytest.mark.parametrize("limit", [30, 60, 90])
def test_holder_may_miss_three_heartbeats_and_be_slow_with_the_fourth(limit):
    assert 4 * xcatha.RENEW * limit + SLACK < xcatha.GIVE_UP * limit
    assert xcatha.RENEW <= 1 / 9


@pytest.mark.parametrize("limit", [30, 60, 90])
def test_heartbeat_may_take_as_long_as_in_a_grace_period(limit):
    """16 s were seen where the server's lease was 90 s."""
    assert (xcatha.RENEW + 16 / 90) * limit < xcatha.GIVE_UP * limit


@pytest.mark.parametrize("limit", [30, 60, 90])
def test_limits_of_systemd_are_longer_than_the_chain(limit, mounts, monkeypatch):
    mounts(("/HA", "fuse", "rw"))
    monkeypatch.setattr(xcatha, "LEASE_TIME", limit)
    for text in xcatha.lease_units("/HA").values():
        limits = dict(re.findall(r"(\w+Sec)=([\d.]+)", text))
        assert float(limits["TimeoutStopSec"]) > limit
        assert float(limits["WatchdogSec"]) >= xcatha.GIVE_UP * limit


@pytest.mark.parametrize("limit", [30, 60, 90])
def test_other_node_waits_longer_than_the_holder_serves(limit, mounts, monkeypatch):
    """By the lock, or where it does not count by the counter, of whose standing it sees the end."""
    mounts(("/HA", "fuse", "rw"))
    monkeypatch.setattr(xcatha, "LEASE_TIME", limit)
    assert xcatha.silence_limit("/HA", {"counter": 1}) >= limit
    assert xcatha.silence_limit("/HA", {"counter": 1, "deadline": 90}) >= 90
    assert limit + xcatha.RENEW * limit <= xcatha.LOCK_EXPIRY


@pytest.mark.parametrize(
    "mount, fstype, limit",
    [
        ("/HA", "nfs4", 30),
        ("/HA 2", "nfs4", 60),
        ("/new", "nfs4", 90),
        ("/bionic", "nfs4", 30),  # Linux before 5.3 does not tell: the shortest that is usual
        ("/old", "nfs", 90),
        ("/other", "fuse.bindfs", 90),
    ],
)
def test_lease_time_is_what_the_kernel_tells_of_the_mount(
    mounts, monkeypatch, mount, fstype, limit
):
    mounts((mount, fstype, "rw"))
    monkeypatch.setattr(xcatha, "read_text", lambda path: MOUNTSTATS)
    assert xcatha.lease_time(mount) == limit


@pytest.mark.parametrize(
    "fstype, seen",
    [
        ("nfs4", True),
        ("nfs", True),
        ("fuse.glusterfs", True),
        ("gfs2", True),
        ("something", True),
        ("ext4", False),
        ("xfs", False),
        ("btrfs", False),
        ("tmpfs", False),
        ("overlay", False),
    ],
)
def test_only_a_filesystem_that_other_machines_see_is_worth_a_reboot(mounts, fstype, seen):
    mounts(("/HA", fstype, "rw"))
    assert (xcatha.mount_of("/HA")[1] not in xcatha.UNSHARED) is seen


@pytest.mark.parametrize("error, whose", [
    (errno.ENOSPC, "full"), (errno.EDQUOT, "full"), (errno.EIO, "unknown"), (None, "ours"),
])
def test_heartbeat_without_room_is_missed_and_any_other_error_ends_the_lease(
        tmp_path, monkeypatch, error, whose):
    def write(*_):
        if error:
            raise OSError(error, os.strerror(error))

    (tmp_path / ".xcatha").mkdir()
    (tmp_path / ".xcatha/lease").write_text(json.dumps({"nonce": "n", "counter": 1}))
    monkeypatch.setattr(xcatha, "write_heartbeat", write)
    with open(str(tmp_path / ".xcatha/lease"), "r+") as lease:
        assert xcatha.renew_lease(str(tmp_path), lease.fileno(), {"nonce": "n"}) == whose
