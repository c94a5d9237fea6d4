"""The console server: goconserver in place of conserver, both, none."""
import json
import re

import pytest

from tests.lab import judge
from tests.lab.image import wait_for
from tests.lab.pair import ACTIVATE, DEACTIVATE, VIP, cluster_lab

ACTIVATE_LINE = ACTIVATE.format(path="/HA", engine="postgresql").split()
ASK = f"exec 3<>/dev/tcp/{VIP}/12430; printf 'cn1\\nhello\\n' >&3; head -n 1 <&3"
STATUS = "python xcatha.py --status".split()
READ_BY_SERVER = "/etc/conserver/conserver.cf"
CONSERVER, GOCONSERVER = "conserver-server", "goconserver"


@pytest.fixture(scope="module")
def lab():
    """A pair with a compute node that has a console; each test begins with both on standby."""
    with cluster_lab() as booted:
        yield booted


@pytest.fixture(autouse=True)
def standby(lab):
    yield
    for host in lab.hosts:
        host.succeed(*DEACTIVATE.split())


def install_goconserver(lab):
    for host in lab.hosts:
        host.succeed("/opt/xcat-repo/share/install-goconserver")


def running(host):
    """Those of the console servers that are up."""
    return [unit for unit in (CONSERVER, GOCONSERVER) if judge.unit(host, unit)[0] == "active"]


def recorded(lab):
    return json.loads((lab.share / ".xcatha/cluster.json").read_text())["console"]


def test_console_server_that_nobody_used_and_that_reads_another_file_is_skipped(lab):
    """As on Debian: the server's own file has no console in it."""
    lab.host1.succeed("sh", "-c", f"rm {READ_BY_SERVER}; touch {READ_BY_SERVER}")
    said = lab.host1.succeed(*ACTIVATE_LINE)
    assert "skipped: nobody used it" in said and running(lab.host1) == []
    assert "PROBLEM" not in lab.host1.succeed(*STATUS)
    lab.host1.succeed("sh", "-c", re.search(r"ln -sf .*? && \S+ start \S+", said).group())
    assert running(lab.host1) == [CONSERVER]
    lab.host1.succeed(*DEACTIVATE.split())
    assert recorded(lab) == f"{CONSERVER}.service"


def test_console_server_that_was_in_use_and_does_not_start_is_an_error(lab):
    lab.host2.succeed("sh", "-c", f"rm {READ_BY_SERVER}; touch {READ_BY_SERVER}")
    said = lab.host2.fail(*ACTIVATE_LINE, code=4).stderr
    assert f"{CONSERVER}.service did not start" in said and "no consoles found" in said
    lab.host2.succeed("ln", "-sf", "/etc/conserver.cf", READ_BY_SERVER)


def test_of_both_the_one_that_was_in_use_is_started(lab):
    lab.host1.succeed(*ACTIVATE_LINE)
    assert running(lab.host1) == [CONSERVER]
    install_goconserver(lab)
    lab.host1.succeed(*DEACTIVATE.split())
    lab.host2.succeed(*ACTIVATE_LINE)
    assert running(lab.host2) == [CONSERVER]
    assert judge.unit(lab.host2, GOCONSERVER) == ("inactive", "disabled")


def test_a_change_of_server_is_followed_on_the_other_host(lab):
    lab.host2.succeed(*ACTIVATE_LINE)
    lab.host2.succeed("systemctl", "stop", CONSERVER)
    lab.host2.xcat("makegocons")
    lab.host2.succeed(*DEACTIVATE.split())
    assert recorded(lab) == f"{GOCONSERVER}.service"
    lab.host1.succeed(*ACTIVATE_LINE)
    assert running(lab.host1) == [GOCONSERVER]


def test_goconserver_in_place_of_conserver_serves_the_consoles(lab):
    for host in lab.hosts:
        host.succeed("apt-get", "-y", "purge", CONSERVER)
    lab.host2.succeed(*ACTIVATE_LINE)
    assert judge.unit(lab.host2, GOCONSERVER) == ("active", "disabled")
    wait_for(lambda: lab.client.connects(VIP, 12430), 10, "goconserver")
    assert lab.client.succeed("timeout", "5", "bash", "-c", ASK) == "cn1: hello\n"


def test_console_of_a_node_that_was_removed_meanwhile_goes(lab):
    """goconserver's list is each host's own, and makegocons alone adds to it."""
    nodes = "/var/lib/goconserver/nodes"
    lab.host2.succeed("sh", "-c", f"echo removed >>{nodes}")
    lab.host2.succeed(*ACTIVATE_LINE)
    assert lab.host2.succeed("cat", nodes).split() == ["cn1"]


def test_without_a_console_server_activate_says_so_and_succeeds(lab):
    for host in lab.hosts:
        host.succeed("sh", "-c", "systemctl stop goconserver; rm /lib/systemd/system/goconserver*;"
                     " systemctl daemon-reload; dpkg -P conserver-server")
    assert "skipped: no console server is installed" in lab.host1.succeed(*ACTIVATE_LINE)
