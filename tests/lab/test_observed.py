"""The stand-in for xCAT does what the real one did, line by line of tests/data/xcat-observed.tsv.

host2 is the active node, installed under the VIP's name; host1 is the standby.
"""
import concurrent.futures
import csv
import pathlib
import subprocess

import pytest

from tests.lab.lab import frozen
from tests.lab.test_standin import VIP, Node, add_vip, allow_tables, install_both, pgsqlsetup

TABLE = pathlib.Path(__file__).parents[1] / "data/xcat-observed.tsv"
STATES = ("active-pg", "active-pg-database-stopped",
          "standby-other-node-active-local-cfgloc-names-vip",
          "standby-nobody-active-local-cfgloc-names-vip", "standby-local-cfgloc-missing-sqlite")
NOISE = "Error loading module /opt/xcat/lib/perl/xCAT_plugin/"
SHOWN = 90  # characters of a line that the table has at most
PATIENCE = 1  # seconds after which a command that is still at work counts as one that blocks
TRUSTED = '"{}","{}",,,,,,"trusted",,'
NODE = ("groups=all mgt=ipmi cons=ipmi serialport=0 serialspeed=115200 netboot=xnba "
        "ip=10.5.106.{} mac=52:54:00:00:00:{:02x}")


def observed():
    """{state: [(environment, command, exit status, number of lines, stdout, stderr)]}."""
    with TABLE.open(newline="") as file:
        rows = [row for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
                if not row[0].startswith("#")]
    return {state: [(row[1], row[2], row[3], int(row[5]), row[6], row[7])
                    for row in rows if row[0] == state] for state in {row[0] for row in rows}}


# ---- The states --------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def nodes():
    """{name of the role: node}; host2 active on PostgreSQL, which admits host1, too."""
    with frozen("standin", install_both) as lab:
        active, standby = Node(lab.host2), Node(lab.host1)
        add_vip(lab.host2)
        active.succeed("hostname", "hamn")
        allow_tables(active)
        moved = pgsqlsetup(active, "-i", "-V", "-a", "10.5.106.5", "-a", "10.5.106.4")
        assert moved.returncode == 0, moved
        for number in range(1, 6):
            active.succeed("chdef", "-t", "node", "-o", f"cn{number}",
                           *NODE.format(100 + number, number).split())
        active.succeed("chdef", "-t", "network", "-o", "10_0_0_0-255_0_0_0", f"tftpserver={VIP}")
        active.succeed("chtab", "key=omapi", "passwd.username=xcat_key")
        change_rows(active, "policy", [TRUSTED.format("1.3", "host1"), TRUSTED.format(
            "1.4", "host2")], last='"4.8"')
        change_rows(active, "site", ['"domain","cluster.test",,'], last='"nameservers"')
        standby.succeed("chdef", "-t", "site", f"master={VIP}", f"nameservers={VIP}")
        change_rows(standby, "site", ['"domain","cluster.test",,'], last='"auditskipcmds"')
        standby.succeed("systemctl", "stop", "xcatd")
        yield {"active": active, "standby": standby}


def change_rows(node, table, more, last):
    """Give a table more rows, and let the one that begins so be its last."""
    header, *rows = node.succeed("tabdump", table).splitlines()
    rows = sorted(more + rows, key=lambda row: row.startswith(last))
    node.succeed("tee", f"/run/{table}.csv", input="\n".join([header, *rows, ""]))
    node.succeed("tabrestore", f"/run/{table}.csv")


@pytest.fixture(params=STATES)
def state(request, nodes):
    """(name of the state, the node on which it is asked)."""
    active, standby = nodes["active"], nodes["standby"]
    stopped = request.param in ("active-pg-database-stopped",
                                "standby-nobody-active-local-cfgloc-names-vip")
    if "cfgloc-names-vip" in request.param:
        standby.succeed("tee", "/etc/xcat/cfgloc", input=active.read("/etc/xcat/cfgloc"))
    if stopped:
        active.succeed("systemctl", "stop", "postgresql")
    yield request.param, active if request.param.startswith("active") else standby
    if stopped:
        active.succeed("systemctl", "start", "postgresql")
    standby.succeed("rm", "-f", "/etc/xcat/cfgloc")


# ---- The comparison ----------------------------------------------------------------------------

def outcome(node, environment, command, blocks):
    """(exit status or "blocks", stdout without noise, stderr, number of lines of noise)."""
    env = {"XCATBYPASS": "1"} if environment == "bypass" else {}
    try:
        done = node.run(*command.split(), env=env, timeout=PATIENCE if blocks else 60)
    except subprocess.TimeoutExpired as end:
        return "blocks", end.stdout.splitlines(), end.stderr.splitlines(), 0
    lines = done.stdout.splitlines()
    kept = [line for line in lines if not line.startswith(NOISE)]
    return str(done.returncode), kept, done.stderr.splitlines(), len(lines) - len(kept)


def is_line(shown, line):
    """True if the table shows this line, whose end it may lack."""
    if shown.endswith("..."):
        return line.startswith(shown[:-3])
    return line.strip()[:SHOWN].strip() == shown


def difference(node, row):
    """What the stand-in does otherwise than the real command, "" for nothing."""
    environment, command, status, number, stdout, stderr = row
    found, lines, errors, noise = outcome(node, environment, command, status == "blocks")
    first, _, last = stdout.partition(" ... ")
    right = (found == status and len(lines) == number
             and (not last or is_line(first, lines[0]))
             and (not stdout or is_line(last or first, lines[-1]))
             and is_line(stderr, errors[0] if errors else "")
             and bool(noise) == (environment == "bypass" and status != "blocks"))
    return "" if right else f"{row} but {found}: {lines} {errors}"


def test_every_line_of_the_table_is_of_a_state_that_is_tried():
    rows = observed()
    assert set(rows) == set(STATES) and sum(map(len, rows.values())) == 210


def test_stand_in_does_what_the_real_commands_did(state):
    name, node = state
    rows = observed()[name]
    changing = [row for row in rows if row[1].startswith("chdef")]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda row: difference(node, row),
                              [row for row in rows if row not in changing]))
    found += [difference(node, row) for row in changing]
    if name == "active-pg" or name.startswith("standby-other"):
        node.run("chtab", "-d", "key=NAME", "site", env={"XCATBYPASS": "1"})
    assert list(filter(None, found)) == []
