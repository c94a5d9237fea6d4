"""Exit 3: sites whose data or database the pair cannot take over; each remedy is carried out."""

import re

import pytest

from tests.fakes.lines import ACTIVATE, DEACTIVATE, SETUP
from tests.fakes.test_refusals import changed, refused
from tests.fakes.test_refusals_of_state import write_cfgloc

MYSQL = changed(SETUP, "-t", "mysql")
SQLITE = changed(SETUP, "-t", "sqlite")


def next_line(said):
    """What the refusal tells to do next."""
    return re.search(r"  next: (.*)", said)[1]


def write(node, path, text):
    node.succeed("install", "-D", "/dev/stdin", path, input=text)


def install(node):
    node.succeed("sh", "/root/go-xcat", "--yes", "install")


def test_database_on_another_host(node):
    install(node)
    write_cfgloc(node, "Pg:dbname=xcatdb;host=10.9.9.9|xcatadm|secret\n")
    said = refused(node, *SETUP)
    assert "xCAT's database is on another host" in said and "host=10.9.9.9" in said
    assert "secret" not in said and "move it to a server on this node first" in said


@pytest.mark.parametrize("host", ["10.5.106.4", "10.5.106.50", "localhost", "host1"])
def test_database_of_this_host_is_not_refused(node, host):
    install(node)
    write_cfgloc(node, f"Pg:dbname=xcatdb;host={host}|xcatadm|secret\n")
    assert "on another host" not in node.run(*node.script(*SETUP, "--dryrun")).stderr


def test_database_that_works_in_another_directory(node):
    install(node)
    node.succeed("dnf", "-y", "install", "postgresql-server")
    node.succeed("/opt/xcat/bin/pgsqlsetup", "-i", "-a", "10.5.106.4")
    node.succeed("systemctl", "stop", "postgresql")
    drop_in = "/etc/systemd/system/postgresql.service.d/elsewhere.conf"
    node.succeed("install", "-D", "/dev/stdin", drop_in, input="[Service]\nWorkingDirectory=/srv\n")
    node.succeed("systemctl", "start", "postgresql")
    said = refused(node, *SETUP)
    assert "the database is not in /var/lib/pgsql" in said and "a server works in /srv" in said
    assert "move its data there, then run this again" in next_line(said)
    node.succeed("rm", drop_in)
    node.succeed("systemctl", "restart", "postgresql")
    assert "is not in" not in node.run(*node.script(*SETUP, "--dryrun")).stderr


@pytest.mark.parametrize("named", ["SQLite:/var/lib/tables", "/var/lib/tables", ""])
def test_tables_of_sqlite_outside_what_is_shared(node, named):
    """The other node would serve without them; no cfgloc means /opt/xcat/cfg where that is."""
    install(node)
    place = named.rpartition(":")[2] or "/opt/xcat/cfg"
    node.succeed("mkdir", "-p", place)
    write_cfgloc(node, named + "\n")
    node.succeed("touch", f"{place}/site.sqlite")
    said = refused(node, *SQLITE)
    assert f"xCAT's tables are in {place}, which is not shared" in said
    node.succeed("sh", "-c", next_line(said).partition(", then")[0])
    shared_otherwise = node.script(*SQLITE, "--exclude", "/etc/xcat", "--dryrun")
    assert "not shared" not in node.run(*shared_otherwise).stderr
    assert node.succeed("cat", "/etc/xcat/cfgloc") == "SQLite:/etc/xcat\n"
    node.succeed("test", "-e", "/etc/xcat/site.sqlite")
    assert "not shared" not in node.run(*node.script(*SQLITE, "--dryrun")).stderr
    assert "not shared" not in node.run(*node.script(*SETUP, "--dryrun")).stderr


def test_postgresql_of_pgdg(node):
    unit = "/usr/lib/systemd/system/postgresql-15.service"
    node.succeed("tee", unit, input="[Service]\nExecStart=/bin/true\n")
    said = refused(node, *SETUP)
    assert "PGDG's PostgreSQL is installed" in said and unit in said
    assert "remove PGDG's packages, or use -t mysql or -t sqlite" in next_line(said)
    assert "PGDG" not in node.xcatha(*SQLITE, "--dryrun").stderr
    node.succeed("mv", unit, "/root")
    node.xcatha(*SETUP, "--dryrun")


def test_what_the_packages_bring_along_is_refused_before_the_database_is_switched(node):
    unit = "usr/lib/systemd/system/postgresql-16.service"
    node.write(f"/usr/local/lib/fakes/packages/postgresql/{unit}", "[Service]\n")
    done = node.xcatha(*SETUP, code=3)
    assert "PGDG's PostgreSQL is installed" in done.stderr
    assert "This node is as it was found" in done.stderr
    assert "Database packages" in done.stdout and "Database switch" not in done.stdout


@pytest.mark.parametrize("profile, server", [
    ("usr.sbin.mysqld", "/usr/sbin/mysqld"), ("mariadbd", "mariadbd")])  # by its path or a name
def test_mysql_that_apparmor_keeps_out_of_the_share(node, profile, server):
    node.succeed("mount", "-t", "tmpfs", "tmpfs", "/sys/kernel")
    node.succeed("mkdir", "-p", "/sys/kernel/security/apparmor", "/etc/apparmor.d/local",
                 "/usr/local/bin")
    node.succeed("tee", "/sys/kernel/security/apparmor/profiles",
                 input=f"/usr/bin/man (enforce)\n{server} (enforce)\n")
    node.succeed("tee", f"/etc/apparmor.d/{profile}",
                 input=f"profile {server} {{\n  /var/lib/mysql/** rwk,\n}}\n")
    node.succeed("ln", "-s", "/bin/true", "/usr/local/bin/apparmor_parser")
    said = refused(node, *MYSQL)
    assert "AppArmor keeps the database server out of the share" in said
    assert f"{server} is enforced, and no rule names /HA" in said
    node.succeed("sh", "-c", next_line(said))
    assert node.succeed("cat", f"/etc/apparmor.d/local/{profile}") == (
        "/HA/var/lib/mysql/ r, /HA/var/lib/mysql/** rwk,\n")
    assert "AppArmor" not in node.run(*node.script(*MYSQL, "--dryrun")).stderr


@pytest.mark.parametrize("path", ["/tftpboot", "/var/lib/pgsql"])
def test_directory_whose_own_filesystem_is_not_mounted(node, path):
    """The empty one below it is not taken for the data, whichever of them it is."""
    install(node)
    node.succeed("mkdir", "-p", path)
    node.succeed("tee", "-a", "/etc/fstab", input=f"/dev/mapper/vg-lv {path} xfs defaults 0 0\n")
    said = refused(node, *SETUP)
    assert f"{path} is not mounted" in said and next_line(said).endswith(f"mount {path}")
    node.succeed("mount", "-t", "tmpfs", "tmpfs", path)
    assert "is not mounted" not in node.run(*node.script(*SETUP, "--dryrun")).stderr


def test_directory_that_is_mounted_by_hand_is_not_replaced_by_what_lies_below_it(node):
    """xCAT's own procedure for two nodes has such lines, and a standby has files below them."""
    install(node)
    write(node, "/tftpboot/pxelinux.0", "a boot loader\n")
    node.succeed("tee", "-a", "/etc/fstab", input="/dev/drbd1 /tftpboot xfs noauto,_netdev 0 0\n")
    said = refused(node, *SETUP)
    assert "/tftpboot is not mounted" in said
    assert "a line out of /etc/fstab that is no longer used, or mount it: mount" in next_line(said)
    node.succeed("sed", "-i", "/drbd1/d", "/etc/fstab")
    node.xcatha(*SETUP, "--dryrun")


@pytest.mark.parametrize("name, usual", [("installdir", "/install"), ("tftpdir", "/tftpboot")])
def test_data_of_xcat_in_another_directory(node, name, usual):
    install(node)
    node.succeed("systemctl", "start", "xcatd")
    chdef = "/opt/xcat/bin/chdef"
    node.succeed(chdef, "-t", "site", "-o", "clustersite", f"{name}=/data{usual}")
    said = refused(node, *SETUP)
    assert f"xCAT's {name} is /data{usual}" in said and f"move its files to {usual}" in said
    node.succeed("sh", "-c", "PATH=/opt/xcat/bin:$PATH; " + next_line(said).partition("then ")[2])
    node.xcatha(*SETUP, "--dryrun")


@pytest.mark.parametrize("path", ["/install", "/etc/xcat"])
def test_empty_directory_in_place_of_the_data(node, path):
    install(node)
    node.succeed("mkdir", "-p", path)
    node.succeed("mv", path, "/root/away")
    node.succeed("mkdir", "-p", path + "/lost+found")
    said = refused(node, *SETUP)
    assert f"{path} is empty" in said and f"mount {path}" in next_line(said)
    node.succeed("mount", "--bind", "/root/away", path)
    assert "is empty" not in node.run(*node.script(*SETUP, "--dryrun")).stderr


def test_share_whose_parent_only_root_may_enter(node):
    node.succeed("mkdir", "-p", "/srv/deep/HA")
    node.succeed("mount", "--bind", "/HA", "/srv/deep/HA")
    node.succeed("chmod", "700", "/srv/deep")
    line = changed(SETUP, "-p", "/srv/deep/HA")
    said = refused(node, *line)
    assert "only root may enter /srv/deep\n" in said
    node.succeed("sh", "-c", next_line(said).partition(": ")[2])
    node.xcatha(*line, "--dryrun")


# ---- Links and mounts of the administrator's own ------------------------------------------------

BY_HAND = "mkdir -p $(dirname /HA{0}) && cp -aT {0} /HA{0} && mv {0} {0}.before && ln -s /HA{0} {0}"


def carry_out(node, said):
    node.succeed("sh", "-ec", next_line(said).partition("; or add")[0])


@pytest.mark.parametrize("more", [[], ["--exclude", "/install"]])
def test_link_into_the_share_that_xcatha_has_not_made(node, more):
    """Its undo and -d would take the link away, and nothing is behind it."""
    install(node)
    node.succeed("touch", "/install/image")
    node.succeed("sh", "-ec", BY_HAND.format("/install"))
    said = refused(node, *SETUP, *more)
    assert "/install is a link that xcatha has not made" in said and "in the way" not in said
    carry_out(node, said)
    node.xcatha(*SETUP, *more)
    node.succeed("test", "-e", "/install/image" if more else "/HA/install/image")
    assert more or node.run("test", "-L", "/install").returncode


@pytest.mark.parametrize("path, link", [
    ("/install", "/data/install"), ("/tftpboot", "data/tftpboot")])
def test_link_to_another_disk(node, path, link):
    install(node)
    node.succeed("sh", "-ec",
                 f"mkdir /data; touch {path}/image; mv {path} /data; ln -s {link} {path}")
    carry_out(node, refused(node, *SETUP))
    node.xcatha(*SETUP)
    node.succeed("test", "-e", f"/HA{path}/image")


def test_link_of_an_earlier_share_gives_way_to_the_local_copy_of_it(members):
    host1, _ = members
    host1.succeed("sh", "-ec", "mv /tftpboot /tftpboot.xcatbak; ln -s /OLD/tftpboot /tftpboot")
    said = refused(host1, *ACTIVATE)
    assert next_line(said).startswith("rm /tftpboot && mv /tftpboot.xcatbak /tftpboot; or add")
    carry_out(host1, said)
    host1.xcatha(*ACTIVATE)
    host1.xcatha(*DEACTIVATE)
    assert host1.run("test", "-e", "/tftpboot.xcatbak").returncode


def test_links_of_a_node_that_was_never_set_up_stay(node):
    install(node)
    for path in ("/install", "/etc/xcat"):
        node.succeed("sh", "-ec", BY_HAND.format(path))
    said = node.run(*node.script("-d", "--yes", "-v", "10.5.106.50")).stderr
    assert "/install is a link to /HA/install, not made by xcatha; left as it is" in said
    assert node.succeed("readlink", "/install", "/etc/xcat").split() == [
        "/HA/install", "/HA/etc/xcat"]


def test_directory_of_which_nothing_local_was_kept_is_told(node):
    node.xcatha(*SETUP)
    node.xcatha(*ACTIVATE)
    node.succeed("mv", "/tftpboot.xcatbak", "/tftpboot.mine")
    assert "nothing local was kept of /tftpboot" in node.xcatha(*DEACTIVATE).stderr


def test_directory_of_the_database_that_is_left_out(node):
    said = refused(node, *SETUP, "--exclude", "/var/lib/pgsql")
    assert "/var/lib/pgsql would not be on the share" in said
    assert next_line(said) == "no --exclude, no mount there: its files belong in /HA/var/lib/pgsql"
