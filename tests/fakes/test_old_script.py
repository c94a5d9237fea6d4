"""Nodes that the script of 2018 has set up: links, in whatever spelling, and no record."""

import json

import pytest

from tests.fakes import losses
from tests.fakes.lines import ACTIVATE, DEACTIVATE

# A node of a pair that is set up becomes one on which the old script has activated xCAT.
OLD_SCRIPT_ACTIVE = """
set -e
rm -r /HA/.xcatha /var/lib/xcatha /etc/systemd/system/*.d/xcatha.conf
ln -s /HA /srv/link-to-HA
ip address add 10.5.106.50/8 dev eth0 label eth0:0
hostname hamn
for name in /install /etc/xcat /root/.xcat /tftpboot /var/lib/pgsql; do
    mv $name $name.xcatbak
    ln -s $0$name $name
done
systemctl start postgresql
systemctl start xcatd
"""


# The server ends with the node, and holds nothing of who started it.
STRAY = "cd /var/lib/pgsql/data; setsid -f /usr/local/lib/fakes/postgres infinity >/dev/null 2>&1"


@pytest.fixture(params=["/HA", "//HA", "/srv/link-to-HA"])
def serving(request, members):
    """The active node of the old script, which was given the share's path in one of these ways."""
    members[0].succeed("sh", "-c", OLD_SCRIPT_ACTIVE, request.param)
    return members[0]


def record(node):
    return json.loads(node.path("/HA/.xcatha/cluster.json").read_text())


def servers(node):
    """Which runs of the database and of xcatd these are."""
    return [node.succeed("systemctl", "show", unit, "-p", "MainPID")
            for unit in ("postgresql", "xcatd")]


def test_deactivate_removes_the_links_and_writes_a_released_record(serving):
    serving.xcatha(*DEACTIVATE)
    assert losses.is_standby(serving)
    assert record(serving)["state"] == "standby"


def test_deactivate_removes_links_of_which_no_backup_is_left(serving):
    serving.succeed("sh", "-c", "rm -r /install.xcatbak /tftpboot.xcatbak /var/lib/pgsql.xcatbak")
    said = serving.xcatha(*DEACTIVATE).stderr
    for path in ("/install", "/tftpboot", "/var/lib/pgsql"):
        assert f"nothing local was kept of {path}: reinstall xCAT, or make it" in said
        assert serving.run("test", "-L", path).returncode
    assert record(serving)["state"] == "standby"


def test_activate_adds_lease_and_record_and_restarts_nothing(serving):
    before = servers(serving)
    serving.xcatha(*ACTIVATE)
    assert servers(serving) == before and record(serving)["host"] == "host1"
    assert "PROBLEM" not in serving.xcatha("--status").stdout


def test_link_stays_while_a_database_works_behind_it(serving):
    serving.shorten(ASK_LIMIT=10)
    serving.succeed("systemctl", "stop", "postgresql")
    serving.succeed("sh", "-c", STRAY)
    said = serving.xcatha(*DEACTIVATE, code=5).stderr
    assert "/var/lib/pgsql stays linked" in said and "end that server" in said
    # A server is known by the name that its link has; what leads there may hang with the share.
    known = serving.succeed("readlink", "/var/lib/pgsql").lstrip("/").startswith("HA/")
    assert ("database still runs outside its unit" in said) is known
    assert ("end it, then run this again" in said) is known
    assert losses.links(serving) == ["var/lib/pgsql"]
    assert record(serving)["state"] == "active"
