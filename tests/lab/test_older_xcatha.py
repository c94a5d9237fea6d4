"""xcatha.py itself is replaced on a pair, standby first; its record was of another form before."""
import json
import lzma
import pathlib

import pytest

from tests.lab import judge
from tests.lab.lab import PRODUCT, Lab
from tests.lab.pair import ACTIVATE, DEACTIVATE, Pair

OLD = lzma.decompress((pathlib.Path(__file__).parents[1]
                       / "data/xcatha-of-format-1.py.xz").read_bytes()).decode()
NEW = PRODUCT.read_text()


class Upgrade:
    """Two hosts that the older file has set up, host1 active by it, and the newer one on host2."""

    def __init__(self, lab):
        self.lab, self.pair = lab, Pair(lab, "postgresql")
        for host in lab.hosts:
            self.give(host, OLD)
            self.pair.setup(host)
        self.pair.activate(lab.host1)
        self.give(lab.host2, NEW)

    def give(self, host, text):
        """Copy a file over the host's xcatha.py."""
        host.succeed("tee", "/root/xcatha.py", input=text)

    def record(self):
        """The share's record as it is."""
        return json.loads((self.lab.share / ".xcatha/cluster.json").read_text())

    def role(self, host, code):
        """The last line of the host's status, which ends with this exit code."""
        result = host.run("python", "xcatha.py", "--status")
        assert result.returncode == code, host.report(result)
        return result.stdout.splitlines()[-1]

    def old_one_does_no_harm(self, host):
        """What the older file says and does on a standby since the record is of the newer form."""
        assert self.role(host, 4) == f"{host.name}: unknown"
        for command, code in ((ACTIVATE, 3), (DEACTIVATE, 5)):
            said = host.fail(*self.pair.line(command, host), code=code).stderr
            assert "use the newer xcatha.py on both nodes" in said
        assert judge.programs(host) == []


@pytest.fixture
def upgrade():
    with Lab() as lab:
        yield Upgrade(lab)


def test_standby_first_and_back_in_planned_failovers(upgrade):
    host1, host2 = upgrade.lab.hosts
    assert upgrade.role(host2, 3) == "host2: standby"
    said = host2.fail(*upgrade.pair.line(ACTIVATE, host2), code=3).stderr
    assert "host1 is active" in said
    assert upgrade.record()["format"] == 1

    upgrade.pair.deactivate(host1)
    upgrade.pair.activate(host2)
    assert (upgrade.record()["format"], upgrade.record()["state"]) == (2, "active")
    upgrade.old_one_does_no_harm(host1)
    assert upgrade.role(host2, 0) == "host2: active"

    upgrade.give(host1, NEW)
    assert upgrade.role(host1, 3) == "host1: standby"
    upgrade.pair.deactivate(host2)
    upgrade.pair.activate(host1)
    assert upgrade.role(host1, 0) == "host1: active"


@pytest.mark.long
def test_newer_standby_takes_over_from_an_older_active_node_that_lost_its_power(upgrade):
    host1, host2 = upgrade.lab.hosts
    host1.power_off()
    upgrade.pair.activate(host2)
    host1.boot()
    upgrade.old_one_does_no_harm(host1)
    assert upgrade.role(host2, 0) == "host2: active"


@pytest.mark.long
def test_newer_file_on_the_active_node_carries_the_pair_over_at_its_next_command(upgrade):
    host1, _ = upgrade.lab.hosts
    upgrade.give(host1, NEW)
    assert upgrade.role(host1, 0) == "host1: active"
    upgrade.pair.deactivate(host1)
    assert (upgrade.record()["format"], upgrade.record()["state"]) == (2, "standby")
    assert upgrade.role(host1, 3) == "host1: standby"
