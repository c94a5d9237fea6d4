"""Kea in place of ISC DHCP. On fakes: the lab's makedhcp knows ISC DHCP alone."""

import pytest

from tests.fakes.lines import ACTIVATE, DEACTIVATE

# As Kea's own packages, Ubuntu and EL 10 name it.
UNITS = ["isc-kea-dhcp4-server", "kea-dhcp4-server", "kea-dhcp4"]
# As with the real makedhcp, Kea starts at boot from then on.
USE_KEA = """
set -e
mv /usr/lib/systemd/system/dhcpd.service /usr/lib/systemd/system/$0.service
rm -f -r /etc/systemd/system/dhcpd.service.d
rm /opt/xcat/bin/makedhcp
cat >/opt/xcat/bin/makedhcp <<END
#!/bin/sh
case \\$1 in
    -n) systemctl restart $0 && systemctl enable $0 ;;
    *) systemctl is-active $0 ;;
esac
END
chmod 755 /opt/xcat/bin/makedhcp
"""


@pytest.fixture(params=UNITS)
def unit(request):
    return request.param


@pytest.fixture
def kea(members, unit):
    """A node of a pair whose only DHCP server is Kea, once it is active."""
    node, _ = members
    node.succeed("sh", "-c", USE_KEA, unit)
    node.xcatha(*ACTIVATE)
    return node


def state(node, unit):
    """(now, at boot) of a unit."""
    return tuple(node.run("systemctl", verb, unit).stdout.strip()
                 for verb in ("is-active", "is-enabled"))


def test_activate_starts_kea_and_leaves_it_disabled_at_boot(kea, unit):
    assert state(kea, unit) == ("active", "disabled")


def test_kea_is_bound_to_the_lease(kea, unit):
    drop_in = kea.succeed("cat", f"/etc/systemd/system/{unit}.service.d/xcatha.conf")
    assert "BindsTo=xcatha-lease.service" in drop_in


def test_deactivate_stops_kea(kea, unit):
    kea.xcatha(*DEACTIVATE)
    assert state(kea, unit) == ("inactive", "disabled")
