"""Kea in place of ISC DHCP. On fakes: the lab's makedhcp knows ISC DHCP alone."""

import pytest

from tests.fakes.lines import ACTIVATE, DEACTIVATE

UNIT = "kea-dhcp4.service"
# As with the real makedhcp, Kea starts at boot from then on.
USE_KEA = f"""
set -e
mv /usr/lib/systemd/system/dhcpd.service /usr/lib/systemd/system/{UNIT}
rm -f -r /etc/systemd/system/dhcpd.service.d
rm /opt/xcat/bin/makedhcp
cat >/opt/xcat/bin/makedhcp <<'END'
#!/bin/sh
case $1 in
    -n) systemctl restart {UNIT} && systemctl enable {UNIT} ;;
    *) systemctl is-active {UNIT} ;;
esac
END
chmod 755 /opt/xcat/bin/makedhcp
"""


@pytest.fixture
def kea(members):
    """A node of a pair whose only DHCP server is Kea, once it is active."""
    node, _ = members
    node.succeed("sh", "-c", USE_KEA)
    node.xcatha(*ACTIVATE)
    return node


def state(node):
    """(now, at boot) of Kea."""
    return tuple(node.run("systemctl", verb, UNIT).stdout.strip()
                 for verb in ("is-active", "is-enabled"))


def test_activate_starts_kea_and_leaves_it_disabled_at_boot(kea):
    assert state(kea) == ("active", "disabled")


def test_kea_is_bound_to_the_lease(kea):
    drop_in = kea.succeed("cat", f"/etc/systemd/system/{UNIT}.d/xcatha.conf")
    assert "BindsTo=xcatha-lease.service" in drop_in


def test_deactivate_stops_kea(kea):
    kea.xcatha(*DEACTIVATE)
    assert state(kea) == ("inactive", "disabled")
