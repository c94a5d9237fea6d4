"""A service of the site's own, started as the README shows, follows the active node."""
import pathlib
import re

import pytest

from tests.lab.pair import Pair, cluster_lab

README = pathlib.Path(__file__).parents[2] / "README.rst"
UNIT = """\
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture(scope="module")
def pair():
    """A pair, host1 active, on which the README's lines for slurmdbd were typed."""
    with cluster_lab() as lab:
        pair = Pair(lab, "postgresql")
        for host in lab.hosts:
            host.succeed("tee", "/etc/systemd/system/slurmdbd.service", input=UNIT)
            host.succeed("systemctl", "enable", "slurmdbd")
        pair.activate(lab.host1)
        chapter = README.read_text().split("Your own services and directories\n---")[1]
        lines = re.search(r"::\n\n((?:    .+\n)+)", chapter)[1]
        lab.host1.succeed("sh", "-ec", lines)
        lab.host2.succeed("systemctl", "disable", "slurmdbd")
        yield pair


def serving(pair):
    """The hosts on which the service runs."""
    return [host.name for host in pair.lab.hosts if host.run(
        "systemctl", "is-active", "slurmdbd").stdout == "active\n"]


def test_service_follows_a_planned_and_an_unplanned_failover(pair):
    host1, host2 = pair.lab.hosts
    pair.deactivate(host1)
    assert serving(pair) == []
    pair.activate(host1)
    assert serving(pair) == ["host1"]
    host1.power_off()
    pair.activate(host2)
    host1.boot()
    assert serving(pair) == ["host2"]


def test_pair_is_whole_with_it(pair):
    assert pair.lab.host2.succeed("python", "xcatha.py", "--status").endswith("host2: active\n")
