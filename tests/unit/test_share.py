"""The share: where it is mounted, whose word counts there, and what its records say."""

import argparse
import json
import os
import socket

import pytest

import xcatha

WHOLE = {
    "vip": "10.5.106.50",
    "netmask": "255.0.0.0",
    "host_name": "hamn",
    "dbtype": "sqlite",
    "state": "standby",
    "host": "host1",
    "since": "2026-11-26T12:00:00+00:00",
    "lease": None,
}


@pytest.fixture
def share(tmp_path):
    (tmp_path / ".xcatha" / "nodes").mkdir(parents=True)
    return str(tmp_path)


def record(share, **fields):
    """What is read after these fields of a whole record were written."""
    xcatha.write_record(share, **dict(WHOLE, **fields))
    return xcatha.read_record(share)


@pytest.mark.parametrize(
    "fstype, options, reach",
    [
        ("nfs4", "rw,vers=4.2", True),
        ("nfs4", "rw,local_lock=none", True),
        ("nfs4", "rw,local_lock=all", False),
        ("nfs", "rw,vers=3", False),
        ("nfs", "rw,nolock", False),
        ("lustre", "rw,flock", True),
        ("lustre", "rw,localflock", False),
        ("lustre", "rw", False),
        ("ceph", "rw", True),
        ("gfs2", "rw", True),
        ("ocfs2", "rw", True),
        ("ocfs2", "rw,localflocks", False),
        ("gfs2", "rw,localflocks", False),
        ("ext4", "rw", True),
        ("fuse.glusterfs", "rw", False),
    ],
)
def test_lock_reaches_the_other_node_or_not(mounts, fstype, options, reach):
    mounts(("/HA", fstype, options))
    assert xcatha.locks_reach("/HA") is reach


def test_path_lies_on_the_longest_mount_point_above_it(mounts):
    mounts(("/xcat", "nfs4", "rw"), ("/xcat/HA", "xfs", "ro"))
    assert xcatha.mount_of("/xcat/HA/host1") == ("/xcat/HA", "xfs", ["ro"])


def test_mount_whose_name_only_begins_alike_is_not_above(mounts):
    mounts(("/HA", "nfs4", "rw"))
    assert xcatha.mount_of("/HA2") == ("/", "ext4", ["rw"])


def test_of_two_mounts_on_one_point_the_later_counts(mounts):
    mounts(("/HA", "autofs", "rw"), ("/HA", "nfs4", "rw"))
    assert xcatha.mount_of("/HA")[1] == "nfs4"


def test_share_without_a_record_has_an_empty_one(share):
    assert xcatha.read_record(share) == {}


def test_record_is_only_for_root(share):
    record(share, vip="10.5.106.50")
    assert os.stat(share + "/.xcatha/cluster.json").st_mode & 0o777 == 0o600


def test_record_keeps_what_is_not_changed(share):
    record(share, vip="10.5.106.51")
    xcatha.write_record(share, state="active")
    assert xcatha.read_record(share)["vip"] == "10.5.106.51"


def test_record_does_not_contain_the_path_of_the_share(share):
    record(share, vip="10.5.106.50", directories=["/install"])
    with open(share + "/.xcatha/cluster.json") as file:
        assert share not in file.read()


@pytest.mark.parametrize("text", [
    "{", "[]", "7", "{}", '{"format": 1}', '{"format": 2}', '{"format": 3}'])
def test_record_that_cannot_be_understood_is_refused(share, text):
    with open(share + "/.xcatha/cluster.json", "w") as file:
        file.write(text)
    with pytest.raises(xcatha.HAError) as refusal:
        xcatha.read_record(share)
    assert refusal.value.code == xcatha.REFUSED and refusal.value.hint


@pytest.mark.parametrize(
    "fields, node",
    [
        ({}, ""),
        ({"state": "active"}, "host1"),
        ({"state": "activating"}, "host1"),
        ({"state": "trying"}, "host1"),
        ({"state": "setting up"}, "host1"),
        ({"state": "unfinished"}, ""),
    ],
)
def test_active_node_is_the_one_that_has_not_released(share, fields, node):
    record(share, **fields)
    assert xcatha.active_node(xcatha.read_record(share)) == node


AT_WORK = {"host": "host1", "since": "2026-11-25T12:00:00+00:00"}


@pytest.mark.parametrize("active, finished, released, state", [
    (None, True, True, "standby"),
    (dict(AT_WORK, state="active"), True, True, "standby"),
    (dict(AT_WORK, state="active"), True, False, "active"),
    (dict(AT_WORK, state="activating"), True, False, "activating"),
    (dict(AT_WORK, state="setting up"), True, False, "trying"),
    (dict(AT_WORK, state="setting up"), False, False, "setting up"),
    (dict(AT_WORK, state="setting up"), False, True, "unfinished"),
])
def test_record_of_format_1_is_read_as_one_of_format_2(share, active, finished, released, state):
    old = {"format": 1, "vip": "10.5.106.50", "netmask": "255.0.0.0", "host_name": "hamn",
           "dbtype": "sqlite", "console": None, "finished": finished, "released": released,
           "active": active, "released_lease": "nonce"}
    with open(share + "/.xcatha/cluster.json", "w") as file:
        json.dump(old, file)
    found = xcatha.read_record(share)
    assert (found["state"], found["host"], found["lease"]) == (
        state, "host1" if active else "", "nonce")
    assert xcatha.share_has_data(share) == finished
    xcatha.write_record(share, console="conserver.service")
    assert xcatha.read_record(share) == dict(found, console="conserver.service")


def test_record_of_a_node_that_is_damaged_is_left_out(share):
    whole = dict.fromkeys(xcatha.NODE_KEYS, "rocky 9.4")
    for name, text in (
        ("host1", json.dumps(whole)),
        ("host2", "{"),
        ("host3", "[]"),
        ("host4", json.dumps({"os": "rocky 9.4"})),
    ):
        with open("%s/.xcatha/nodes/%s.json" % (share, name), "w") as file:
            file.write(text)
    assert xcatha.read_nodes(share) == {"host1": whole}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": "host1"}'])
def test_lease_that_is_damaged_was_never_held(share, text):
    with open(share + "/.xcatha/lease", "w") as file:
        file.write(text)
    assert xcatha.read_lease(share) == {}


def test_history_grows_by_a_line_and_is_bounded(share):
    path = share + "/.xcatha/history"
    with open(path, "w") as file:
        file.write("old\n" * 2000)
    xcatha.add_history(share, "standby")
    with open(path) as file:
        lines = file.read().splitlines()
    assert len(lines) == 1000 and lines[-1].endswith("standby") and lines[0] == "old"


def test_data_counts_once_the_record_says_finished(share):
    os.makedirs(share + "/etc/xcat")
    record(share, state="setting up")
    assert not xcatha.share_has_data(share)
    record(share, state="activating")
    assert xcatha.share_has_data(share)


def test_data_of_the_2018_script_has_no_record_and_counts(share):
    assert not xcatha.share_has_data(share)
    os.makedirs(share + "/etc/xcat")
    assert xcatha.share_has_data(share)


def test_share_is_where_the_links_point(run_state):
    run_state.pretended[("link", "/etc/xcat")] = "/xcat/HA/host1/etc/xcat"
    assert xcatha.share_from_links() == "/xcat/HA/host1"


def test_link_to_elsewhere_is_no_share(run_state):
    run_state.pretended[("link", "/install")] = "/srv/images"
    assert xcatha.share_from_links() == ""


@pytest.mark.parametrize(
    "fstype, linked",
    [("nfs4", False), ("nfs", False), ("ceph", False), ("lustre", False), ("gpfs", False),
     ("fuse.glusterfs", False), ("ext4", True)],
)
def test_directory_on_a_mount_of_its_own_is_linked_unless_both_nodes_see_it(
    mounts, opts, fstype, linked
):
    mounts(("/install", fstype, "rw"))
    found = xcatha.directories_to_link(opts, {})
    assert ("/install" in found) is linked and "/tftpboot" in found


def test_directory_below_a_shared_mount_is_linked(mounts, opts):
    mounts(("/etc", "nfs4", "rw"))
    assert "/etc/xcat" in xcatha.directories_to_link(opts, {})


def test_lease_that_nobody_ever_held_is_empty(share):
    assert xcatha.read_lease(share) == {}


def test_lock_is_seen_by_another_descriptor(share):
    path = share + "/.xcatha/lease"
    with open(path, "w") as mine, open(path) as other:
        assert xcatha.lock_file(mine.fileno()) == "ours"
        assert xcatha.lock_file(other.fileno()) == "held"
        assert xcatha.lock_state(share) == "held"
    assert xcatha.lock_state(share) == "ours"


@pytest.mark.parametrize("error", ["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def test_filesystem_without_locks_is_told_from_a_held_lock(monkeypatch, error):
    def refuse(*_):
        raise OSError(getattr(xcatha.errno, error), "no locks here")

    monkeypatch.setattr(xcatha.fcntl, "flock", refuse)
    assert xcatha.lock_file(0) == "refused"


def test_units_of_the_lease_are_of_type_notify_and_its_end_is_seen_to(mounts):
    mounts(("/HA", "ext4", "rw"))
    units = xcatha.lease_units("/HA")
    lease, fence = (units[path].splitlines() for path in (
        xcatha.LEASE_UNIT_FILE, xcatha.FENCE_UNIT_FILE))
    assert {"Type=notify", "RequiresMountsFor=/HA", "BindsTo=xcatha-fence.service"} < set(lease)
    assert any(line.startswith("ExecStart=") and "--hold-lease /HA" in line for line in lease)
    assert any(line.startswith("ExecStopPost=") and line.endswith("--lease-lost") for line in lease)
    assert any(line.startswith("ExecStart=") and line.endswith("--fence") for line in fence)
    assert not any("/HA" in line for line in fence)


@pytest.mark.parametrize("stale, reloads", [("yes", 1), ("no", 0)])
def test_guard_that_a_killed_run_has_written_is_loaded(monkeypatch, stale, reloads):
    lines = []
    monkeypatch.setattr(xcatha, "unguarded_units", lambda text: [])
    monkeypatch.setattr(xcatha, "units_of", lambda *kinds: {"xcatd.service": {}})
    monkeypatch.setattr(xcatha, "output_of", lambda line: f"NeedDaemonReload={stale}\n")
    monkeypatch.setattr(xcatha, "do", lines.append)
    assert xcatha.guard_services("/HA") == "already bound"
    assert lines == [["systemctl", "daemon-reload"]] * reloads


def test_guard_of_an_instance_is_that_of_its_template():
    assert xcatha.guard_file("postgresql@15-main.service") == (
        "/etc/systemd/system/postgresql@.service.d/xcatha.conf"
    )


ETAB = (
    "/install\t*(rw,sync,no_root_squash)\n/installer\t*(rw)\n/home\t*(rw)\n"
    "{share}/tftpboot\t10.0.0.0/8(rw)\n{share}/a\\040b\t@hosts(ro)\n\n"
    "{share}/six\t2001:db8::/64(rw)\n"
)


def test_exports_that_lead_into_the_share_are_found_and_no_others(share, monkeypatch):
    share = os.path.realpath(str(share))
    monkeypatch.setattr(xcatha, "read_text", lambda path: ETAB.format(share=share))
    monkeypatch.setattr(xcatha, "linked_into", lambda share: ["/install"])
    assert xcatha.exports_of(share) == [
        ("*", "/install", share + "/install"),
        ("10.0.0.0/8", share + "/tftpboot", share + "/tftpboot"),
        ("@hosts", share + "/a b", share + "/a b"),
        ("2001:db8::/64", share + "/six", share + "/six"),
    ]


def test_without_a_share_the_exports_of_what_would_be_linked_are_found(monkeypatch):
    texts = {"/var/lib/nfs/etab": ETAB.format(share="/HA")}
    monkeypatch.setattr(xcatha, "read_text", lambda path: texts.get(path, ""))
    assert xcatha.exports_of("") == [("*", "/install", "/install")]


def test_export_is_withdrawn_by_the_name_that_the_server_knows(monkeypatch):
    exports = [("*", "/install", "/HA/install"), ("2001:db8::/64", "/HA/b", "/HA/b")]
    left, asked = list(exports), []

    def withdraw(argv, may_fail):
        asked.append(argv[-1])
        left[:] = left if argv[-1] == "*:/HA/install" else left[1:]
        return int(argv[-1] == "*:/HA/install"), "", ""

    monkeypatch.setattr(xcatha, "exports_of", lambda share: list(left))
    monkeypatch.setattr(xcatha, "do", withdraw)
    assert xcatha.withdraw_exports("/HA") == "withdrawn: /install /HA/b"
    assert asked == ["*:/HA/install", "*:/install", "[2001:db8::]/64:/HA/b"]


def test_mount_point_is_what_the_table_of_mounts_says(mounts):
    """os.path.ismount takes a subvolume for one, and a bind mount of a neighbour for none."""
    mounts(("/tftpboot", "ext4", "rw"))
    assert [xcatha.is_mount_point(path) for path in ("/tftpboot", "/proc")] == [True, False]


def test_table_of_mounts_may_have_odd_names(monkeypatch):
    text = "none /a\\040b\rc tmpfs rw 0 0\n /empty\u00a0source nfs4 rw,hard 0 0\n"
    monkeypatch.setitem(xcatha.RUN.pretended, ("text", "/proc/self/mounts"), text)
    assert xcatha.mounts() == [("/a b\rc", "tmpfs", ["rw"]),
                               ("/empty\u00a0source", "nfs4", ["rw", "hard"])]


@pytest.fixture
def first_copy(monkeypatch, opts):
    """The checks of the first copy, of one directory; du's answer can be given."""
    def check(path, du, places=()):
        nothing = "read_record share_has_data is_running works_on database_unit exists".split()
        for name in [*nothing, "xcat_installed"]:
            monkeypatch.setattr(xcatha, name, lambda *_: {})
        monkeypatch.setattr(xcatha, "database_directories", lambda engine: places)
        monkeypatch.setattr(xcatha, "ask", lambda argv, limit: du)
        monkeypatch.setattr(xcatha, "directories_to_link", lambda opts, record: [path])
        monkeypatch.setattr(xcatha.psutil, "disk_usage", lambda share: argparse.Namespace(free=1))
        return list(xcatha.check_data(opts))
    return check


def test_subvolume_that_rsync_would_leave_out_is_refused(first_copy, mounts):
    """No table of mounts lists it; here /dev/pts stands for one."""
    mounts(("/dev", "btrfs", "rw"))
    [(what, evidence, hint)] = first_copy("/dev", (0, "1\t/dev\n", ""))
    assert what == "filesystems are mounted below /dev" and "/dev/pts" in evidence.split(", ")
    assert "make plain directories of subvolumes" in hint


def test_database_whose_log_lies_elsewhere_is_refused(first_copy, monkeypatch, tmp_path):
    """rsync copies the link, and the other node has nothing behind it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/pg_wal").symlink_to("/srv/fast/wal")
    (tmp_path / "data/inside").symlink_to(tmp_path / "data")
    (tmp_path / "data/ssl").symlink_to("/etc/ssl")
    data = str(tmp_path / "data")
    monkeypatch.setattr(xcatha, "output_of", lambda argv: "".join(
        f"{data}/{name}\n" for name in ("pg_wal", "inside", "ssl")))
    found = first_copy(data, (0, f"1\t{data}\n", ""))
    assert found == []  # of another directory than the database's, links may lead anywhere
    [(what, evidence, _)] = first_copy(data, (0, f"1\t{data}\n", ""), [data])
    assert (what, evidence) == (f"data of the database lie outside {data}", f"{data}/pg_wal")


def test_size_counts_where_a_file_vanished_meanwhile(first_copy):
    [(what, evidence, _)] = first_copy("/usr", (1, "4194304\t/usr\n", "du: cannot access x"))
    assert (what, evidence) == ("the share is too small", "4 MB to copy, 0 MB free")


def test_share_that_mariadb_may_not_see_is_refused(opts, mounts, monkeypatch):
    mounts(("/home", "nfs4", "rw"))
    monkeypatch.setattr(xcatha, "database_unit", lambda engine: "mariadb.service")
    monkeypatch.setattr(xcatha, "output_of", lambda argv: "ProtectHome=yes\n")
    opts.dbtype, opts.path = "mysql", "/home/HA"
    what, evidence, _ = next(xcatha.check_software(opts))
    assert what == "/home/HA is hidden from the database server" and "ProtectHome=" in evidence


@pytest.mark.parametrize("queue", ["closed", "full"])
def test_service_manager_that_has_crashed_or_hangs_holds_up_no_heartbeat(
        monkeypatch, tmp_path, queue):
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        if queue == "closed":
            manager.close()
        for _ in range(2000):  # more than the kernel queues
            xcatha.notify_systemd("WATCHDOG=1")
        if queue == "closed":
            with pytest.raises(OSError):
                xcatha.notify_systemd("READY=1")


def test_fence_ends_after_the_lease_that_it_guards():
    """systemd stops in the opposite order; a database that takes its time would lose the fence."""
    lease = xcatha.lease_units("/")[xcatha.LEASE_UNIT_FILE]
    assert f"\nAfter=network.target {xcatha.FENCE_UNIT}\n" in lease


def test_lease_is_not_held_without_the_ticket_of_an_activate(share, monkeypatch, tmp_path):
    monkeypatch.setattr(xcatha, "RUN_DIR", str(tmp_path))
    with pytest.raises(xcatha.HAError, match="the lease is taken by xcatha.py -a and -s only"):
        xcatha.hold_lease(str(share))


# ---- Messages of the lease ---------------------------------------------------------------------


@pytest.fixture
def hold(monkeypatch, tmp_path):
    """Runs the lease's holder up to its first obstacle, on a lock in this state; its error."""
    (tmp_path / ".xcatha").mkdir()
    monkeypatch.setattr(xcatha, "RUN_DIR", str(tmp_path))
    monkeypatch.setattr(xcatha, "forget_lease", lambda: None)
    monkeypatch.setattr(xcatha, "wait_until", lambda *_: False)
    monkeypatch.setattr(xcatha, "physical_host_name", lambda: "host1")
    monkeypatch.setattr(xcatha, "SETTLE", 0)

    def run(lock, lock_decided):
        (tmp_path / "ticket").write_text(json.dumps(["", {}, lock_decided]))
        monkeypatch.setattr(xcatha, "lock_file", lambda _: lock)
        return xcatha.error_of(xcatha.hold_lease, str(tmp_path))

    return run


@pytest.mark.parametrize("lock, lock_decided", [("held", True), ("held", False), ("refused", True)])
def test_lease_is_not_taken_on_a_lock_other_than_the_one_that_was_judged(
    hold, tmp_path, lock, lock_decided
):
    error = hold(lock, lock_decided)
    assert error.what == "the lease %s/.xcatha/lease cannot be locked" % tmp_path
    assert error.evidence == "the lock is " + lock


@pytest.mark.parametrize("lock", ["refused", "ours"])
def test_holder_looks_for_a_rival_wherever_the_lock_does_not_decide(hold, monkeypatch, lock):
    looks = []
    monkeypatch.setattr(xcatha, "expect_no_rival", lambda *_: looks.append("looked"))
    hold(lock, False)
    assert looks == ["looked", "looked"]


def test_holder_whose_lock_is_refused_says_so_in_the_lease(hold, monkeypatch, mounts, tmp_path):
    mounts((str(tmp_path), "nfs4", "rw"))
    hold("refused", False)
    assert xcatha.read_lease(str(tmp_path))["locks"] is False


def test_node_gives_way_to_another_that_takes_the_lease_at_the_same_moment(monkeypatch):
    monkeypatch.setattr(xcatha, "read_text", lambda _: "")
    monkeypatch.setattr(xcatha, "read_lease", lambda _: {"host": "host2"})
    with pytest.raises(xcatha.HAError) as error:
        xcatha.expect_no_rival("/HA", "", [{}])
    assert error.value.what == "another node is taking the lease, too"
    assert "host2" in error.value.evidence


@pytest.mark.parametrize("option, harm, right", [
    ("soft", "loses writes", "hard"), ("softerr", "loses writes", "hard"),
    ("nocto", "reads old data", "cto"),  # a dead node's counter would stand still as well
])
def test_mount_that_gives_up_is_refused_with_the_lines_that_change_it(
        opts, mounts, option, harm, right):
    mounts(("/HA", "nfs4", "rw,%s" % option))
    what, _, hint = next(xcatha.check_storage(opts))
    assert what == "/HA is mounted %s, which %s" % (option, harm)
    assert hint.startswith("write `%s`" % right) and hint.endswith("umount /HA; mount /HA")


@pytest.mark.parametrize("by_pacemaker, limit", [(900, 225), (0, xcatha.MAKER_LIMIT)])
def test_maker_that_hangs_does_not_hold_up_a_failover_for_ever(monkeypatch, by_pacemaker, limit):
    """omshell that waits for OMAPI has been seen at work after hours."""
    limits = []
    monkeypatch.setattr(xcatha.RUN, "by_pacemaker", by_pacemaker)
    monkeypatch.setattr(
        xcatha, "do", lambda argv, limit, **more: limits.append(limit) or (0, "", ""))
    xcatha.run_maker(["makedhcp", "-a"])
    assert limits == [limit]


@pytest.mark.parametrize("enforce, told", [("1", "semanage permissive -a"), ("0", "")])
def test_selinux_that_may_keep_servers_out_of_the_share_is_told_beforehand(
        monkeypatch, opts, caplog, run_state, enforce, told):
    monkeypatch.setattr(xcatha, "unprotected_device", lambda share: "")
    run_state.pretended[("text", "/sys/fs/selinux/enforce")] = enforce
    run_state.dryrun = True
    opts.path = "/dev"
    assert list(xcatha.check_storage(opts)) == []
    assert told in caplog.text and bool(caplog.text) == bool(told)


def test_postgresql_clusters_of_others_are_none_of_the_pairs(monkeypatch, opts, mounts):
    opts.path = "/"
    monkeypatch.setattr(xcatha, "debian_clusters", lambda: {"15-a": 5433, "15-b": 5434})
    monkeypatch.setattr(xcatha, "pair_cluster", lambda: "")
    what, evidence, hint = next(xcatha.check_software(opts))
    assert what == "no PostgreSQL cluster is that of xCAT's database string"
    assert evidence == "pg_lsclusters: 15-a at port 5433, 15-b at port 5434"
    assert "pg_createcluster --port 5432" in hint


@pytest.mark.parametrize("fstype, state", [
    ("ceph", "silent"), ("lustre", "silent"), ("nfs4", "answers")])
def test_share_whose_file_servers_hang_is_silent(monkeypatch, mounts, fstype, state):
    """CephFS and Lustre ask none of them about the filesystem; NFS has one server for both."""
    mounts(("/HA", fstype, "rw"))
    monkeypatch.setattr(xcatha, "ask", lambda line, limit: (124 if line[0] == "cat" else 0, "", ""))
    assert xcatha.share_state("/HA") == state


def test_takeover_waits_until_the_filesystem_gives_up_what_a_dead_node_holds(
        monkeypatch, mounts, capsys):
    mounts(("/HA", "ceph", "rw"))
    looks = []

    def ask(line, limit):
        looks.append((line[0], limit))
        return (124 if line[0] == "cat" and limit < 300 else 0), "", ""

    monkeypatch.setattr(xcatha, "ask", ask)
    assert xcatha.share_state("/HA", takes_over=True) == "answers"
    assert looks == [("stat", 10), ("cat", 10), ("cat", 300)]
    assert "waiting up to 300 s until its holder is given up" in capsys.readouterr().out


def test_share_without_a_lease_answers(monkeypatch, mounts):
    mounts(("/HA", "ceph", "rw"))
    monkeypatch.setattr(xcatha, "ask", lambda line, limit: (line[0] == "cat", "", ""))
    assert xcatha.share_state("/HA") == "answers"


def test_lease_is_not_held_by_a_python_without_psutil(monkeypatch, tmp_path):
    """It may come by PYTHONPATH, which systemd does not pass on; the fence needs it."""
    monkeypatch.setattr(xcatha, "psutil", None)
    error = xcatha.error_of(xcatha.hold_lease, str(tmp_path))
    assert "finds no psutil when systemd starts it" in error.what


@pytest.mark.parametrize("state, command, used", [
    ("missing", "activate", "/HA"), ("answers", "activate", "/other"),
    ("silent", "activate", "/other"), ("missing", "setup", "/other"),
    ("there, but not mounted", "activate", "/other"),  # it may be the pair's new storage
])
def test_share_that_setup_found_is_used_where_nothing_is_at_the_given_path(
        monkeypatch, opts, caplog, state, command, used):
    monkeypatch.setattr(xcatha, "share_state", lambda share: state.replace(
        "there, but not mounted", "missing"))
    monkeypatch.setattr(xcatha.os.path, "isdir", lambda path: "there" in state)
    monkeypatch.setattr(xcatha, "find_share", lambda opts: "/HA")
    monkeypatch.setattr(xcatha, "check_not_managed", lambda opts: None)
    opts.path, opts.command = "/other", command
    assert xcatha.guide(opts) == getattr(xcatha, command)
    assert opts.path == used
    told = "/other is not there; this node's share is /HA" in caplog.text
    assert told == (used == "/HA")
