"""Whose word counts when a node wants the lease, and which storage it may be on."""

import json
import os
import pathlib
import tempfile

import pytest

import xcatha

ME, OTHER = "host2", "host1"


@pytest.fixture
def share(monkeypatch):
    """A share in a place that everybody may enter, as pytest's own directories are not."""
    with tempfile.TemporaryDirectory() as place:
        yield fill(pathlib.Path(place), monkeypatch)


def fill(place, monkeypatch):
    """The path of the share, with a record of the other node."""
    (place / ".xcatha" / "nodes").mkdir(parents=True)
    monkeypatch.setattr(xcatha, "physical_host_name", lambda: ME)
    monkeypatch.setattr(xcatha, "active_state", lambda unit: "inactive")
    text = json.dumps(dict.fromkeys(xcatha.NODE_KEYS, ""))
    node = dict(json.loads(text), address="10.5.106.4")
    (place / ".xcatha" / "nodes" / "host1.json").write_text(json.dumps(node))
    return str(place)


@pytest.fixture
def world(share, mounts, monkeypatch):
    """Sets what this node sees: its mount, the lock, whether the counter moves, who answers."""

    def is_so(fstype="nfs4", options="rw", lock="held", moves=False, answers="", **lease):
        mounts((share, fstype, options))
        life = dict({"host": OTHER, "boot": "b", "nonce": "n", "counter": 1}, **lease)
        with open(xcatha.state_file(share, "lease"), "w") as file:
            json.dump(life, file)

        def wait_until(condition, limit, pause=0.1):
            waited.append(limit)
            if moves:
                with open(xcatha.state_file(share, "lease"), "w") as file:
                    json.dump(dict(life, counter=2), file)
            return condition()

        monkeypatch.setattr(xcatha, "wait_until", wait_until)
        monkeypatch.setattr(xcatha, "lock_state", lambda share: lock)
        monkeypatch.setattr(xcatha, "who_answers", lambda address, nic: answers)
        return share

    waited = is_so.waited = []
    return is_so


@pytest.mark.parametrize(
    "fstype, options, lock, moves, evidence",
    [
        ("nfs4", "rw", "held", True, "the lock on"),
        ("nfs4", "rw", "held", False, "the lock on"),
        ("nfs4", "rw", "ours", True, ""),
        ("nfs4", "rw", "ours", False, ""),
        ("nfs4", "rw", "refused", True, "its counter on the share moves"),
        ("nfs4", "rw,local_lock=all", "ours", True, "its counter on the share moves"),
        ("nfs", "rw,vers=3", "held", False, ""),
        ("nfs", "rw,vers=3", "held", True, "its counter on the share moves"),
        ("fuse.bindfs", "rw", "ours", True, "its counter on the share moves"),
        ("fuse.bindfs", "rw", "ours", False, ""),
        ("gpfs", "rw", "ours", True, "its counter on the share moves"),
    ],
)
def test_lock_decides_where_it_reaches_and_the_counter_elsewhere(
    world, fstype, options, lock, moves, evidence
):
    found = xcatha.other_holder(world(fstype, options, lock, moves))
    assert found.startswith(evidence) and bool(found) == bool(evidence)


def test_lock_of_a_holder_whose_own_lock_does_not_reach_is_not_asked(world):
    """It is on NFSv3, whose lock a restart of the server may forget; this node is on NFSv4."""
    share = world("nfs4", "rw", "ours", True, locks=False, deadline=90)
    assert xcatha.other_holder(share) == "its counter on the share moves"


@pytest.mark.parametrize("deadline, watched", [(30, 90), (120, 120)])
def test_counter_must_stand_for_the_longer_deadline_of_both(world, deadline, watched):
    xcatha.other_holder(world("fuse", "rw", "ours", deadline=deadline))
    assert world.waited == [watched]


def ask(share, opts):
    """The error of a wait for the lease, None where it may be taken."""
    return xcatha.error_of(xcatha.check_lease_is_free, share, opts)


@pytest.mark.parametrize("fstype", ["nfs4", "nfs"])
def test_silent_holder_that_promised_no_deadline_is_refused_while_its_address_answers(
    world, opts, fstype
):
    error = ask(world(fstype, "rw", "ours", answers="52:54:00:00:00:01"), opts)
    assert error.code == xcatha.REFUSED and "host1 may still be active" in error.what
    assert "power it off, then run the same line with --peer-is-off" in error.hint


def test_silent_holder_that_promised_a_deadline_is_only_warned_of(world, opts, capsys):
    share = world("nfs4", "rw", "ours", answers="52:54:00:00:00:01", deadline=90)
    assert ask(share, opts) is None
    assert "host1 was active and did not stand by" in capsys.readouterr().err


def test_holder_that_does_not_answer_is_not_spoken_of(world, opts, capsys):
    assert ask(world("nfs4", "rw", "ours"), opts) is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("fstype, moves", [("nfs4", False), ("nfs", True)])
def test_every_refusal_because_of_another_holder_names_the_whole_way(world, opts, fstype, moves):
    error = ask(world(fstype, "rw", "held", moves), opts)
    assert error.what == "host1 is active"
    assert "deactivate host1 first: xcatha.py -d there" in error.hint
    assert "power it off, then run the same line with --peer-is-off" in error.hint


# ---- Which storage ---------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["soft", "softerr"])
def test_mount_that_gives_up_is_refused(world, opts, option):
    opts.path = world("nfs4", "rw," + option)
    what, _, hint = next(xcatha.check_storage(opts))
    assert "is mounted {}".format(option) in what and "`hard`" in hint


def test_share_that_only_root_may_enter_is_refused_until_its_remedy_is_done(world, opts, dry_run):
    opts.path = world()
    os.chmod(opts.path, 0o700)
    _, evidence, hint = next(xcatha.check_storage(opts))
    assert evidence == "its mode is 700"
    assert hint.endswith("chmod o+x " + opts.path)
    os.chmod(opts.path, 0o701)
    assert list(xcatha.check_storage(opts)) == []


FEATURES = "Filesystem volume name:   <none>\nFilesystem features:      has_journal {}extent\n"


@pytest.mark.parametrize(
    "fstype, device, features, is_warned",
    [
        ("ext4", "/dev/sdb1", "", True),
        ("ext4", "/dev/sdb1", "mmp ", False),
        ("ext4", "/dev/drbd0", "", False),
        ("xfs", "/dev/sdb1", "mmp ", False),
        ("xfs", "/dev/sdb1", "", True),
        ("nfs4", "/dev/sdb1", "", False),
    ],
)
def test_block_filesystem_that_two_nodes_could_mount_is_warned_of(
    world, opts, monkeypatch, capsys, dry_run, fstype, device, features, is_warned
):
    opts.path = world(fstype)
    os.chmod(opts.path, 0o755)
    monkeypatch.setattr(xcatha.os.path, "realpath", lambda path: device)
    monkeypatch.setattr(xcatha, "output_of", lambda argv: FEATURES.format(features))
    assert list(xcatha.check_storage(opts)) == []
    assert ("mounting /dev/sdb1 as well" in capsys.readouterr().err) == is_warned


@pytest.mark.parametrize(
    "line, found",
    [
        ("/dev/sdb1 /HA ext4 defaults 0 2", ["/HA"]),
        ("/dev/drbd0\t/HA\txfs\trw", ["/HA"]),
        ("/dev/sdb1 /HA ext4 defaults,noauto 0 2", []),
        ("# /dev/sdb1 /HA ext4 defaults 0 2", []),
        ("store:/HA /HA nfs4 defaults 0 0", []),
        ("/dev/sdb1 / ext4 defaults 0 1", []),
        ("/dev/sdb1 /HA2 ext4 defaults 0 2", []),
        ("/dev/sdb1 /HA ext4 rw 0 2\nstore:/pair /HA/pair nfs4 rw 0 0", []),
        ("/dev/sdb1 /HA", []),
    ],
)
def test_line_of_fstab_that_mounts_one_nodes_storage_at_boot_is_found(monkeypatch, line, found):
    monkeypatch.setattr(xcatha, "read_text", lambda path: "\n" + line + "\n")
    problem = "/etc/fstab mounts %s at boot, be it in use on the other node"
    assert [text for text, _ in xcatha.mounts_at_boot("/HA/pair", [])] == [
        problem % place for place in found]
