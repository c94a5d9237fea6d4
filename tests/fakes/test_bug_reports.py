"""What users of such tools have reported, and does not happen here."""

import re
import subprocess

from tests.fakes.lines import ACTIVATE, DEACTIVATE

NEEDRESTART = "/etc/needrestart/conf.d"
# As needrestart evaluates its settings, and then asks for each unit.
ASK_NEEDRESTART = """
our %nrconf = (blacklist_rc => []);
eval do { local $/; <STDIN> };
die $@ if $@;
print "$_\\n" for grep { my $rc = $_; grep { $rc =~ /$_/ } @{$nrconf{blacklist_rc}} } @ARGV;
"""
UNITS = ["xcatha-lease.service", "xcatha-fence.service", "postgresql.service"]
SLOW = "[Service]\nExecStartPre=/bin/sleep %d\n"
# It names a network that it could not add, does all the rest, and ends with 1 (xCAT, dhcp.pm).
COMPLAINS = """#!/bin/bash
(exec -a makedhcp /usr/local/lib/fakes/command "$@") || exit
[ "$1" != -n ] || { echo "Error: Could not add the subnet 2002::/16 into dhcpd.conf." >&2; exit 1; }
"""
ALREADY = "host1 is the active node already."


def test_update_of_libraries_does_not_restart_the_lease(members):
    """needrestart restarts what uses a library that was updated, and asks nobody."""
    host1, _ = members
    host1.succeed("mkdir", "-p", NEEDRESTART)
    host1.xcatha(*ACTIVATE)
    settings = host1.path(NEEDRESTART + "/xcatha.conf").read_text()
    left_alone = subprocess.run(["perl", "-e", ASK_NEEDRESTART, *UNITS], input=settings, text=True,
                                stdout=subprocess.PIPE, check=True).stdout.split()
    assert left_alone == UNITS[:2]


def test_database_that_replays_its_log_for_long_is_waited_for(members):
    """Whoever stops it in between has it begin all over again, for ever."""
    host1, _ = members
    host1.shorten(SERVICE_LIMIT=2, RECOVERY_LIMIT=60)
    drop_in = "/etc/systemd/system/postgresql.service.d/slow.conf"
    host1.succeed("tee", drop_in, input=SLOW % 6)
    said = host1.xcatha(*ACTIVATE).stdout
    assert "postgresql is still starting; after a crash a database replays its log" in said
    host1.xcatha(*DEACTIVATE)


def test_dhcp_of_which_one_network_failed_is_completed_and_begun_anew_by_the_next_activate(members):
    host1, _ = members
    makedhcp = host1.succeed("sh", "-c", "command -v makedhcp || echo /opt/xcat/bin/makedhcp")
    makedhcp = makedhcp.strip()
    host1.succeed("mv", makedhcp, makedhcp + ".real")
    host1.succeed("install", "-m", "755", "/dev/stdin", makedhcp, input=COMPLAINS)
    said = host1.xcatha(*ACTIVATE, code=4).stderr
    assert "Could not add the subnet" in said
    log = host1.path("/var/log/xcatha.log").read_text()
    assert re.search(r"makedhcp -a -l \(.*\[Passed\]", log)
    assert "note: the last activate did not do all: DHCP" in host1.xcatha("--status").stdout
    host1.succeed("mv", makedhcp + ".real", makedhcp)
    assert ALREADY not in host1.xcatha(*ACTIVATE).stdout
    assert host1.path("/var/log/xcatha.log").read_text().count("makedhcp -a -l (") == 2
    assert ALREADY in host1.xcatha(*ACTIVATE).stdout
