"""--dryrun: every check and every change is said, and nothing at all is changed."""

import pytest

from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP

# What a dry run may call: these only look.
LOOKS = {
    ("arping", "-D"),
    ("arping", "-V"),
    ("ip", "-4"),
    ("ip", "-o"),
    ("systemctl", "is-enabled"),
    ("systemctl", "list-units"),
    ("systemctl", "show"),
}
LOOKING_TOOLS = "du journalctl lsdef lsxcatd openssl perl ping psql ssh-keygen stat tabdump".split()


def looks_only(call):
    return call[0] in LOOKING_TOOLS or tuple(call[:2]) in LOOKS


def dry_run(node, *line):
    """Dry-run a command, which must exit 0 and change nothing, not even its log; what it says."""
    before, calls = node.picture(), len(node.calls())
    log = node.path("/var/log/xcatha.log")
    logged = log.read_text() if log.exists() else None
    done = node.xcatha(*line, "--dryrun")
    assert node.changes_since(before) == []
    assert (log.read_text() if log.exists() else None) == logged
    assert [call for call in node.calls()[calls:] if not looks_only(call)] == []
    return done.stdout


def test_dry_setup_says_every_kind_of_change(node):
    said = dry_run(node, *SETUP)
    for change in (
        "would run: ip address add 10.5.106.50/8",
        "would run: hostname hamn",
        "would write: /etc/hosts",
        "would run: bash /root/go-xcat --yes install",
        "would link: /install -> /HA/install",
        "would run: systemctl start xcatha-lease.service",
    ):
        assert change in said


def test_dry_activate_says_every_kind_of_change(members):
    said = dry_run(members[0], *ACTIVATE)
    for change in (
        "would run: ip address add 10.5.106.50/8",
        "would run: systemctl start postgresql.service",
        "would run: systemctl start xcatd.service",
        "would link: /etc/xcat -> /HA/etc/xcat",
    ):
        assert change in said


def test_dry_deactivate_says_every_kind_of_change(members):
    host1, _ = members
    host1.xcatha(*ACTIVATE)
    said = dry_run(host1, *DEACTIVATE)
    for change in (
        "would run: systemctl stop xcatd.service",
        "would remove: /etc/xcat",
        "would run: ip address del 10.5.106.50/8",
        "would run: hostname host1",
        "would run: systemctl stop xcatha-lease.service",
    ):
        assert change in said


@pytest.mark.parametrize("line", [SETUP, DEACTIVATE])
def test_dry_run_with_nothing_to_do_says_no_change(members, line):
    said = dry_run(members[0], *line).replace("would be tried", "")
    assert "would" not in said


def test_dry_run_is_refused_like_the_real_one(node):
    before = node.picture()
    assert "xcatha.py -s" in node.xcatha(*ACTIVATE, "--dryrun", code=3).stderr
    assert node.changes_since(before) == []
