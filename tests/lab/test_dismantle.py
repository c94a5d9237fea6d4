"""The README's chapter on dismantling a pair, word for word on the lab's hosts."""
import pathlib
import re

import pytest

from tests.lab import judge
from tests.lab.image import wait_for
from tests.lab.pair import VIP, XCAT, Pair, cluster_lab

README = pathlib.Path(__file__).parents[2] / "README.rst"
# The lab's DHCP server is Debian's.
UNITS = {"dhcpd": "isc-dhcp-server"}
# What an administrator adds to the settings of eth0, which end the file.
FOR_GOOD = f"    up ip address add {VIP}/8 dev eth0\n"


def chapter():
    """The literal blocks of the chapter, in their order."""
    text = README.read_text().split("Dismantling a pair\n---")[1].split("\n----")[0]
    return [re.sub(r"(?m)^    ", "", block) for block in re.findall(r"(?m)(?:^ {4}.*\n)+", text)]


def type_in(host, lines):
    """Let a shell on the host run the lines as they stand there."""
    for there, here in UNITS.items():
        lines = lines.replace(there, here)
    host.succeed("sh", "-e", "-c", lines, env=XCAT)


@pytest.fixture(scope="module")
def dismantled():
    """A pair that was in use, and of which host1 stays."""
    with cluster_lab("postgresql") as lab:
        pair = Pair(lab, "postgresql")
        pair.activate(lab.host2)
        lab.host2.succeed("chdef", "-t", "node", "-o", "last", "groups=all", env=XCAT)
        pair.deactivate(lab.host2)
        copy_back, release, stay = chapter()
        type_in(lab.host1, copy_back)
        for host in lab.hosts:
            type_in(host, release)
        type_in(lab.host1, stay)
        yield lab


def test_node_that_stays_serves_the_newest_data_from_its_own_disk(dismantled):
    assert "last" in dismantled.host1.succeed("lsdef", env=XCAT)
    assert judge.database_directories(dismantled.host1) == {"/var/lib/pgsql/data"}
    assert judge.links_into_share(dismantled.host1) == []


def test_node_that_stays_serves_again_after_a_reboot(dismantled):
    stays = dismantled.host1
    stays.succeed("tee", "-a", "/etc/network/interfaces", input=FOR_GOOD)
    stays.reboot()
    wait_for(lambda: "last" in stays.run("lsdef", env=XCAT).stdout, 60, "xcatd at the VIP")
    assert {"named", "dhcpd", "xcatd"} <= set(judge.programs(stays))


def test_share_keeps_its_data(dismantled):
    assert (dismantled.share / "var/lib/pgsql/data/PG_VERSION").exists()
