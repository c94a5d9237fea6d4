"""Two fresh hosts without xCAT become a pair, and host1 the active one, by the manual's lines."""
import pytest

from tests.lab import judge
from tests.lab.lab import Lab
from tests.lab.network import mac
from tests.lab.pair import PATH_PER_HOST, TREES, VIP, XCAT, Pair, pair_lab, write_trees, xcat

OLDER_FORM = "python xcatha.py -a -p /HA -v 10.5.106.50 -i eth0:0 -n hamn"
OF_XCATS_OWN_TESTS = "-p {path} -v 10.5.106.50 -i eth0:0 -n hamn -m 255.0.0.0"
BOTH = pytest.mark.parametrize("name", ["host1", "host2"])


class Story:
    """What was seen of two hosts before and after setup, and after the first activate."""

    def __init__(self, lab):
        self.lab, self.pair = lab, Pair(lab, "postgresql")
        self.xcat_before = [host.run("test", "-e", "/opt/xcat").returncode for host in lab.hosts]
        write_trees(lab.host1, "before")
        self.files = judge.files(lab.host1, *TREES)
        self.network = self.look(lambda host: (judge.addresses(host), judge.routes(host)))
        self.said = self.look(self.pair.setup)
        self.standby = self.look(standby_facts)
        self.holders = judge.holders(lab)
        self.said_by_activate = self.pair.activate(lab.host1)

    def look(self, question):
        """The answer of each host to a question."""
        return {host.name: question(host) for host in self.lab.hosts}


def standby_facts(host):
    """What a standby must look like, as seen from outside the script."""
    return {"links": judge.links_into_share(host), "units": judge.units(host),
            "programs": judge.programs(host), "name": judge.host_name(host),
            "network": (judge.addresses(host), judge.routes(host)),
            "name servers": judge.name_servers(host)}


@pytest.fixture(scope="module")
def story():
    """Both hosts set up from nothing, then host1 active."""
    with Lab() as lab:
        yield Story(lab)


# ---- After setup -----------------------------------------------------------------------------

def test_xcat_was_not_installed_before(story):
    assert story.xcat_before == [1, 1]


@BOTH
def test_setup_installs_xcat(story, name):
    host = getattr(story.lab, name)
    assert "Version 2." in host.succeed("lsxcatd", "-v", env={**XCAT, "XCATBYPASS": "1"})


@BOTH
def test_setup_ends_with_the_closing_line(story, name):
    closing = "This machine is set to standby management node successfully..."
    assert story.said[name].splitlines()[-1] == closing


@BOTH
def test_setup_leaves_no_link_into_the_share(story, name):
    assert story.standby[name]["links"] == []


@BOTH
def test_setup_leaves_every_managed_unit_off(story, name):
    expected = dict.fromkeys(judge.MANAGED, ("inactive", "disabled"))
    assert story.standby[name]["units"] == expected
    assert story.standby[name]["programs"] == []


@BOTH
def test_setup_leaves_the_hosts_own_name(story, name):
    assert story.standby[name]["name"] == name


@BOTH
def test_setup_leaves_the_hosts_own_addresses_and_routes(story, name):
    assert story.standby[name]["network"] == story.network[name]


@BOTH
def test_setup_leaves_the_hosts_own_name_servers(story, name):
    assert VIP not in story.standby[name]["name servers"]


def test_nobody_holds_the_vip_after_setup(story):
    assert story.holders == []


# ---- After the first activate ----------------------------------------------------------------

def test_activate_ends_with_the_closing_line(story):
    closing = "This machine is set to primary management node successfully..."
    assert story.said_by_activate.splitlines()[-1] == closing


def test_host1_holds_the_vip(story):
    assert judge.holders(story.lab) == ["host1"]
    assert story.lab.client.macs_answering(VIP) == {mac(story.lab.host1.address)}


def test_xcat_uses_postgresql_at_the_vip(story):
    said = xcat(story.lab.host1, "lsxcatd", "-a").splitlines()
    assert {"dbengine=Pg", f"dbhost={VIP}"} <= set(said)


def test_database_server_works_in_the_share(story):
    assert judge.database_directories(story.lab.host1) == {"/HA/var/lib/pgsql/data"}


def test_master_and_name_server_of_the_site_are_the_vip(story):
    said = xcat(story.lab.host1, "lsdef", "-t", "site", "-i", "master,nameservers", "-c")
    assert said.split() == ["clustersite:", f"master={VIP}", "clustersite:", f"nameservers={VIP}"]


@pytest.mark.parametrize("name", ["hamn", "host1", "host2"])
def test_policy_trusts(story, name):
    rows = judge.definitions(story.lab.host1)["policy"]
    assert any(f',"{name}",' in row and '"trusted"' in row for row in rows)


def test_files_of_host1_are_on_the_share_to_the_last_attribute(story):
    found = judge.files(story.lab.host1, *TREES)
    assert len(found) > 10
    assert judge.differences(story.files, found) == {}


def test_files_of_host1_are_still_on_its_own_disk(story):
    aside = {path.replace(tree, f"/{tree.split('/')[1]}.xcatbak/tree") for tree in TREES
             for path in story.files if path.startswith(tree)}
    found = judge.files(story.lab.host1, "/install.xcatbak/tree", "/tftpboot.xcatbak/tree")
    assert found.keys() == aside


# ---- Other lines -----------------------------------------------------------------------------

def test_older_form_of_activate_names_the_host_and_takes_netmask_and_engine_from_setup():
    with pair_lab() as lab:
        lab.host1.succeed(*OLDER_FORM.split())
        assert lab.client.holder(VIP) == "host1"
        assert ("eth0:0", VIP, 8, "10.255.255.255") in judge.addresses(lab.host1)
        assert judge.database_directories(lab.host1) == {"/HA/var/lib/pgsql/data"}


def test_lines_of_xcats_own_tests():
    with Lab(share_at=PATH_PER_HOST) as lab:
        pair = Pair(lab, "postgresql")
        for host in lab.hosts:
            host.succeed(*pair.line(f"python xcatha.py -s {OF_XCATS_OWN_TESTS}", host))
        lab.host1.succeed(*pair.line(f"python xcatha.py -a {OF_XCATS_OWN_TESTS}", lab.host1))
        pair.deactivate(lab.host1)
        lab.host2.succeed(*pair.line(f"python xcatha.py -a {OF_XCATS_OWN_TESTS}", lab.host2))
        assert lab.client.holder(VIP) == "host2"
        server = judge.database_directories(lab.host2)
        assert server == {"/xcat/HA/host2/var/lib/pgsql/data"}
