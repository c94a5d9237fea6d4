"""The database's settings: access lines, listeners, cfgloc, versions."""

import argparse

import pytest

import xcatha

ACCESS = "host    all          all        10.5.106.50/32      md5\n"


def test_access_line_stands_below_the_ipv4_comment():
    text = "# IPv4 local connections:\nhost all all 127.0.0.1/32 md5\n"
    assert xcatha.with_access(text, ["10.5.106.50"]) == (
        "# IPv4 local connections:\n" + ACCESS + "host all all 127.0.0.1/32 md5\n"
    )


def test_access_line_stands_last_where_there_is_no_comment():
    assert xcatha.with_access("local all all peer\n", ["10.5.106.50"]) == (
        "local all all peer\n" + ACCESS
    )


@pytest.mark.parametrize("first", ["host all all 0.0.0.0/0 reject\n", "hostssl all all all md5\n"])
def test_access_line_stands_before_a_line_that_fits_every_connection(first):
    text = "local all all peer\n" + first + "# IPv4 local connections:\n"
    for before in (text, text.partition("#")[0]):
        after = xcatha.with_access(before, ["10.5.106.50"])
        assert after.index(ACCESS) < after.index(first)


@pytest.mark.parametrize(
    "main, where",
    [
        ("include_dir = 'conf.d'\n", "conf.d/site.conf"),
        ("listen_addresses = 'a'\ninclude_dir = 'conf.d'\n", "conf.d/site.conf"),
        ("include_dir 'conf.d'\nlisten_addresses = 'a'\n", "postgresql.conf"),
        ("#include_dir = 'conf.d'\n", "postgresql.conf"),
    ],
)
def test_listeners_stand_in_the_file_that_counts(tmp_path, main, where):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/site.conf").write_text("listen_addresses = '*'\n")
    (tmp_path / "postgresql.conf").write_text(main)
    assert xcatha.listeners_file(str(tmp_path)) == str(tmp_path / where)
    (tmp_path / "postgresql.auto.conf").write_text("listen_addresses = 'b'\n")  # by ALTER SYSTEM
    assert xcatha.listeners_file(str(tmp_path)) == str(tmp_path / "postgresql.auto.conf")


def test_line_ends_of_the_database_settings_stay():
    text = "# IPv4 local connections:\r\nhost all all 127.0.0.1/32 md5"
    access = xcatha.with_access(text, ["10.5.106.50"])
    assert access.splitlines(True)[1] == ACCESS.replace("\n", "\r\n")
    assert xcatha.with_access(access, ["10.5.106.50"]) == access
    assert xcatha.with_listeners("port = 1\r\n", ["10.5.106.50"]).endswith("50'\r\n")


def test_access_line_is_added_once():
    text = "host all all 10.5.106.50/32 scram-sha-256\n"
    assert xcatha.with_access(text, ["10.5.106.50"]) == text


@pytest.mark.parametrize(
    "before, after",
    [
        ("", "listen_addresses = 'localhost,10.5.106.50'\n"),
        ("#listen_addresses = '*'\n", None),
        ("listen_addresses = '*'\t# all\n", "listen_addresses = '*'\t# all\n"),
        ("listen_addresses = '0.0.0.0'\n", "listen_addresses = '0.0.0.0'\n"),
        ("listen_addresses='10.5.106.50'\n", "listen_addresses='10.5.106.50'\n"),
        ("listen_addresses = 'a' # c\n", "listen_addresses = 'a,10.5.106.50' # c\n"),
        ("listen_addresses 'a'\n", "listen_addresses = 'a,10.5.106.50'\n"),
        ("listen_addresses = ''\n", "listen_addresses = '10.5.106.50'\n"),
    ],
)
def test_listener_is_added_to_the_setting(before, after):
    expected = before + "listen_addresses = 'localhost,10.5.106.50'\n" if after is None else after
    assert xcatha.with_listeners(before, ["10.5.106.50"]).lstrip("\n") == expected


def test_listener_is_added_to_the_last_setting_because_that_one_counts():
    text = "listen_addresses = '10.5.106.50'\nport = 5432\nlisten_addresses = 'localhost'\n"
    assert xcatha.with_listeners(text, ["10.5.106.50"]) == (
        "listen_addresses = '10.5.106.50'\nport = 5432\n"
        "listen_addresses = 'localhost,10.5.106.50'\n"
    )


@pytest.mark.parametrize("text", ["", "listen_addresses = 'localhost'\n", "port = 1\n"])
def test_settings_that_were_changed_are_left_alone(text):
    wanted = ["10.5.106.50", "10.5.106.4"]
    once = xcatha.with_listeners(text, wanted)
    assert xcatha.with_listeners(once, wanted) == once


@pytest.mark.parametrize(
    "cfgloc, engine",
    [
        ("Pg:dbname=xcatdb;host=10.5.106.50|xcatadm|pw\n", "postgresql"),
        ("mysql:dbname=xcatdb;host=10.5.106.50|xcatadmin|pw\n", "mysql"),
        ("SQLite:/etc/xcat\n", "sqlite"),
        ("/etc/xcat\n", "sqlite"),
        ("", "sqlite"),
    ],
)
def test_engine_is_what_cfgloc_says(run_state, cfgloc, engine):
    run_state.pretended[("text", "/etc/xcat/cfgloc")] = cfgloc
    assert xcatha.current_engine() == engine


def test_unknown_engine_is_refused_without_its_password(run_state):
    run_state.pretended[("text", "/etc/xcat/cfgloc")] = "DB2:xcat|user|secret\n"
    with pytest.raises(xcatha.HAError) as refusal:
        xcatha.current_engine()
    assert refusal.value.code == xcatha.REFUSED
    assert "secret" not in "".join(refusal.value.lines())


@pytest.mark.parametrize(
    "text, version",
    [
        ("psql (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)", "15.6"),
        ("mysql  Ver 15.1 Distrib 10.11.6-MariaDB", "10.11"),
        ("mysql  Ver 8.0.36 for Linux on x86_64 (Source distribution)", "8.0"),
        ("no version", ""),
    ],
)
def test_version_is_major_and_minor(monkeypatch, text, version):
    monkeypatch.setattr(xcatha, "have", lambda command: True)
    monkeypatch.setattr(xcatha, "output_of", lambda line: text)
    assert xcatha.database_version("mysql") == version


@pytest.mark.parametrize("there, asked", [
    ({"mysql", "mariadb"}, ["mysql"]), ({"mariadb"}, ["mariadb"]), (set(), [])])
def test_client_of_mariadb_may_have_its_new_name_alone(monkeypatch, there, asked):
    lines = []
    monkeypatch.setattr(xcatha, "have", there.__contains__)
    monkeypatch.setattr(xcatha, "output_of", lambda line: lines.append(line[0]) or "")
    xcatha.database_version("mysql")
    assert lines == asked


def test_settings_are_those_of_the_newest_version_by_number(monkeypatch):
    old, new = "/etc/postgresql/9.6/main", "/etc/postgresql/15/main"
    monkeypatch.setattr(xcatha.glob, "glob", lambda pattern: [old, new])
    monkeypatch.setattr(xcatha.os.path, "exists", lambda path: path.startswith("/etc/postgresql"))
    assert xcatha.postgres_settings() == new


# ---- What is the pair's ------------------------------------------------------------------------

CLUSTERS = {"13-old": "5433", "15-main": "5432", "15-my-own": "5434"}


@pytest.fixture
def clusters(monkeypatch):
    """Lets a test say which PostgreSQL clusters this node has, and which units have a guard."""

    def look(found, bound=()):
        monkeypatch.setattr(xcatha, "debian_clusters", lambda: found)
        monkeypatch.setattr(xcatha, "guarded_here", lambda: list(bound))
        monkeypatch.setattr(xcatha, "has_debian_layout", lambda: True)

    return look


@pytest.mark.parametrize("source, cluster", [
    ("host=10.5.106.50", "15-main"),
    ("host=10.5.106.50;port=5434", "15-my-own"),
    ("host=10.5.106.50;port=5999", ""),
])
def test_pairs_cluster_is_the_one_at_the_port_of_cfgloc(clusters, source, cluster):
    clusters(CLUSTERS)
    assert xcatha.pair_cluster("Pg:dbname=xcatdb;%s|xcatadm|pw" % source) == cluster


def test_only_cluster_of_a_node_is_treated_as_a_whole(clusters):
    clusters({"15-main": "5432"})
    assert xcatha.pair_cluster("Pg:dbname=xcatdb;host=10.5.106.50|xcatadm|pw") == ""


def test_cluster_that_is_bound_to_the_lease_is_the_pairs_whatever_cfgloc_says(clusters):
    clusters(CLUSTERS, ["xcatd.service", "postgresql@13-old.service"])
    assert xcatha.pair_cluster("Pg:dbname=xcatdb;host=10.5.106.50|xcatadm|pw") == "13-old"


def test_units_and_directories_are_those_of_the_pairs_cluster_alone(clusters, run_state):
    clusters(CLUSTERS)
    xcatha.PAIR.engine = "postgresql"
    xcatha.pair_cluster("Pg:dbname=xcatdb;host=h;port=5434|xcatadm|pw")
    assert xcatha.database_names() == ["postgresql@15-my-own.service"]
    assert xcatha.database_directories("postgresql") == ["/var/lib/postgresql/15/my-own"]
    whole = ["/install", "/var/lib/postgresql", "/etc/postgresql"]
    assert xcatha.as_here(whole) == ["/install", "/var/lib/postgresql/15/my-own"]


def test_cfgloc_that_leads_to_no_cluster_is_refused_until_one_is_made(
    clusters, opts, run_state, monkeypatch
):
    monkeypatch.setattr(xcatha, "xcat_installed", lambda: True)
    monkeypatch.setattr(xcatha, "share_has_data", lambda share: True)
    clusters(CLUSTERS)
    run_state.pretended[("text", "/etc/xcat/cfgloc")] = "Pg:dbname=xcatdb;host=h;port=5999|u|pw"
    [refusal] = xcatha.check_software(opts)
    assert "15-main at port 5432" in refusal[1] and "pw" not in "".join(refusal)
    assert refusal[2] == "make one at its port: pg_createcluster --port 5999 VERSION NAME"
    clusters(dict(CLUSTERS, **{"15-new": "5999"}))
    xcatha.PAIR.cluster = None
    assert list(xcatha.check_software(opts)) == []


# ---- What should name the VIP ------------------------------------------------------------------


@pytest.mark.parametrize(
    "master, nameservers, wanted",
    [
        ("10.5.106.4", "10.5.106.4", {"master": "10.5.106.50", "nameservers": "10.5.106.50"}),
        ("10.5.106.50", "10.5.106.4,10.5.1.1", {"nameservers": "10.5.106.50,10.5.1.1"}),
        ("10.5.106.50", "10.5.1.1,10.5.106.50", {}),
        ("10.5.106.50", "", {"nameservers": "10.5.106.50"}),
    ],
)
def test_name_servers_of_the_site_stay_beside_the_vip(
    monkeypatch, opts, master, nameservers, wanted
):
    site = {"master": master, "nameservers": nameservers}
    monkeypatch.setattr(xcatha, "own_addresses", lambda nic, vip: ["10.5.106.4"])
    monkeypatch.setattr(xcatha, "table", lambda name: [])
    found = {attribute: value for _, _, attribute, value in xcatha.wrong_masters(opts, site)}
    assert found == wanted


PLACES = {
    "10.5.106.4": "host1", "host1": "host1", "host1.cluster.test": "host1",
    "10.5.106.5": "host2", "host2": "host2",
}


@pytest.mark.parametrize(
    "value, wanted",
    [
        ("10.5.106.4", "VIP"),
        ("host1.cluster.test", "VIP"),
        ("10.5.1.1,host1,10.5.106.4", "10.5.1.1,VIP"),
        ("host1:/install", "VIP:/install"),
        ("10.5.106.44", ""),
        ("110.5.106.4", ""),
        ("host1.elsewhere.test", ""),
        ("host11 my-host1 host1-bmc", ""),
        ("10.5.106.4,10.5.106.5", ""),
        ("<xcatmaster>", ""),
    ],
)
def test_what_names_one_node_of_the_pair_gets_the_vip_instead(value, wanted):
    assert xcatha.with_vip(value, PLACES, "VIP") == wanted


FIRST, SECOND = "10.5.106.50", "192.168.7.50"


@pytest.mark.parametrize(
    "net, mask, nic, vip",
    [
        ("10.0.0.0", "255.0.0.0", "eth0", FIRST),
        ("10.0.0.0", "255.0.0.0", "eth0:0", FIRST),
        ("172.16.0.0", "255.240.0.0", "!remote!eth0", FIRST),
        ("172.16.0.0", "255.240.0.0", "", FIRST),
        ("172.16.0.0", "<xcatmaster>", "", FIRST),
        ("192.168.1.0", "255.255.255.0", "eth1", ""),
        ("192.168.7.0", "255.255.255.0", "eth1", SECOND),
        ("192.168.7.0", "255.255.255.0", "", SECOND),
        ("fd00::", "64", "eth0", ""),
    ],
)
def test_network_asks_its_own_vip_or_the_pairs_but_none_on_a_nic_without(
    opts, net, mask, nic, vip
):
    opts.others = [argparse.Namespace(vip=SECOND, nic="eth1:0")]
    assert xcatha.vip_of({"net": net, "mask": mask, "mgtifname": nic}, opts) == vip


# ---- conserver.cf ------------------------------------------------------------------------------

MADE = "access * {\n  trusted 127.0.0.1;\n}\nconsole a {\n}\n"
BOTH = "access 10.5.106.50 {\n  trusted 10.5.106.4,10.5.106.5;\n}\n"


def test_conserver_trusts_both_nodes_by_a_block_of_its_own():
    text = xcatha.with_trusted(MADE, "10.5.106.50", ["10.5.106.5", "10.5.106.4"])
    assert text == MADE + BOTH


def test_block_that_is_right_stays_where_it_is():
    text = BOTH + MADE
    assert xcatha.with_trusted(text, "10.5.106.50", ["10.5.106.4", "10.5.106.5"]) == text


def test_block_of_a_former_node_is_replaced():
    text = xcatha.with_trusted(BOTH + MADE, "10.5.106.50", ["10.5.106.4", "10.5.106.6"])
    assert text == MADE + BOTH.replace(".5;", ".6;")


# ---- Grants ------------------------------------------------------------------------------------


def test_password_of_root_is_asked_for_where_mariadb_does_not_let_it_grant(monkeypatch, opts):
    monkeypatch.setattr(xcatha, "read_cfgloc", lambda: "mysql:dbname=x;host=h|xcatadmin|secret")
    monkeypatch.setattr(xcatha, "physical_address", lambda _: "10.5.106.4")
    monkeypatch.setattr(xcatha, "ask", lambda *_, **__: (1, "", ""))
    monkeypatch.setattr(xcatha, "do", lambda *_, **__: (1, "", "ERROR 1045 (28000): Access denied"))
    with pytest.raises(xcatha.HAError) as error:
        xcatha.grant_access(opts)
    assert error.value.what == "the database did not let root grant access"
    assert "Access denied" in error.value.evidence and "XCATMYSQLROOT_PW" in error.value.hint


def test_user_that_is_not_plain_is_not_put_into_a_statement(monkeypatch, opts):
    monkeypatch.setattr(xcatha, "read_cfgloc", lambda: "mysql:dbname=x;host=h|x'y|secret")
    monkeypatch.setattr(xcatha, "ask", lambda *_, **__: (1, "", ""))
    with pytest.raises(xcatha.HAError) as error:
        xcatha.grant_access(opts)
    assert error.value.what == "/etc/xcat/cfgloc has no plain user and password"
    assert "mysqlsetup" in error.value.hint


def test_place_for_the_settings_of_mariadb_is_asked_for(monkeypatch, opts):
    opts.dbtype = "mysql"
    monkeypatch.setattr(xcatha, "physical_address", lambda _: "10.5.106.4")
    monkeypatch.setattr(xcatha.os.path, "isdir", lambda path: False)
    with pytest.raises(xcatha.HAError) as error:
        xcatha.admit_node(opts)
    assert error.value.what == "there is no place for MariaDB's settings"
    assert "make /etc/my.cnf.d" in error.value.hint


@pytest.mark.parametrize("debian, place", [
    (True, "/etc/mysql/mariadb.conf.d"), (False, "/etc/my.cnf.d"),
])
def test_dry_run_names_the_place_that_the_package_will_bring(
        monkeypatch, opts, dry_run, capsys, debian, place):
    opts.dbtype = "mysql"
    monkeypatch.setattr(xcatha, "physical_address", lambda _: "10.5.106.4")
    monkeypatch.setattr(xcatha, "is_debian", lambda: debian)
    monkeypatch.setattr(xcatha.os.path, "isdir", lambda path: False)
    xcatha.admit_node(opts)
    assert "would write: %s/zz-xcatha.cnf" % place in capsys.readouterr().out


# ---- Servers that take their time --------------------------------------------------------------


def test_server_that_still_replays_its_log_is_waited_for(monkeypatch, capsys):
    """pg_isready(1): 1 while the server starts up."""
    answers = [1, 1, 0]
    asked = []

    def is_ready(argv):
        asked.append(argv)
        return answers.pop(0), "", ""

    monkeypatch.setattr(xcatha, "database_unit", lambda engine: "postgresql@15-main.service")
    monkeypatch.setattr(xcatha, "is_running", lambda unit: True)
    monkeypatch.setattr(xcatha, "start_unit", lambda unit: True)
    monkeypatch.setattr(xcatha, "works_on", lambda share: [share])
    monkeypatch.setattr(xcatha, "read_cfgloc", lambda: "Pg:dbname=xcatdb;host=v;port=5433|u|p")
    monkeypatch.setattr(xcatha, "ask", is_ready)
    monkeypatch.setattr(xcatha.time, "sleep", lambda pause: None)
    xcatha.start_database("/HA", "postgresql")
    assert answers == [] and asked[0] == ["pg_isready", "--port", "5433"]
    assert "postgresql@15-main is still starting" in capsys.readouterr().out


@pytest.mark.parametrize("status, said, failed", [
    (0, "", False),
    (1, "Error: Could not get any console request entry.", False),
    (1, "Error: Failed to send rest request to https://hamn:12429", True),
])
def test_consoles_that_could_not_be_made_are_told_of(monkeypatch, opts, status, said, failed):
    used = "goconserver.service"
    monkeypatch.setattr(xcatha, "units_of", lambda kind: {used: {}})
    monkeypatch.setattr(xcatha, "read_record", lambda share: {"console": used})
    monkeypatch.setattr(xcatha, "start_unit", lambda unit: True)
    monkeypatch.setattr(xcatha, "do", lambda argv, *limit, **more: (status, "", said))
    error = xcatha.error_of(xcatha.start_console, opts, True, None)
    assert (error.what if error else "") == ("makegocons failed" if failed else "")
