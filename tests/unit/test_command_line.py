"""The command line: the lines that must work as written, and what each value may be."""

import argparse

import pytest

import xcatha


def parse(line):
    return xcatha.parse(line.split())


@pytest.mark.parametrize(
    "line, command",
    [
        ("-s -p /HA -v 10.5.106.50 -i eth0:0 -n hamn -m 255.0.0.0 -t postgresql", "setup"),
        ("-a -p /HA -v 10.5.106.50 -i eth0:0 -m 255.0.0.0 -t postgresql", "activate"),
        ("-d -v 10.5.106.50 -i eth0:0", "deactivate"),
        ("-a -p /HA -v 10.5.106.50 -i eth0:0 -n hamn", "activate"),
        ("-s -p //xcat/HA/host1 -v 10.5.106.50 -i eth0:0 -n hamn -m 255.0.0.0", "setup"),
        ("-a", "activate"),
        ("-d", "deactivate"),
        ("--status", "status"),
    ],
)
def test_line_is_understood(line, command):
    assert parse(line).command == command


@pytest.mark.parametrize("long", "--setup --activate --deactivate".split())
def test_commands_have_long_forms(long):
    assert parse(long).command == long.strip("-")


@pytest.mark.parametrize("line", ["-d -i :0", "-i :0 -d -v 10.5.106.50", "-d -i " + "x" * 40])
def test_deactivate_takes_any_nic(line):
    assert parse(line).command == "deactivate"


@pytest.mark.parametrize("command", ["-s", "-a", "--status"])
def test_other_commands_take_none_but_the_name_of_a_nic(command, capsys):
    with pytest.raises(SystemExit) as end:
        parse(command + " -i :0")
    assert end.value.code == 2
    assert "argument -i/--nic: ':0' is not the name of a NIC" in capsys.readouterr().err


def test_options_have_long_forms():
    line = "-s --path /HA --vip 10.5.106.50 --nic eth0:0 --host-name hamn --netmask 255.0.0.0"
    opts = parse(line + " --dbtype mysql")
    assert (opts.path, opts.vip, opts.nic) == ("/HA", "10.5.106.50", "eth0:0")
    assert (opts.host_name, opts.netmask, opts.dbtype) == ("hamn", "255.0.0.0", "mysql")


def test_doubled_slash_of_a_path_is_dropped():
    assert parse("-a -p //xcat/HA/host1").path == "/xcat/HA/host1"


def test_mariadb_is_mysql():
    assert parse("-s -t mariadb").dbtype == "mysql"


def test_database_is_left_open_when_it_is_not_given():
    assert parse("-s").dbtype is None


@pytest.mark.parametrize(
    "kind, good",
    [
        ("address", "10.5.106.50"),
        ("address", "192.168.1.4"),
        ("address", "223.0.0.1"),
        ("netmask", "255.255.255.255"),
        ("netmask", "255.255.254.0"),
        ("NIC", "eth0"),
        ("NIC", "bond0.100:0"),
        ("NIC", "a-label-of-15:0"),
        ("host", "hamn"),
        ("host", "localhost1"),
        ("host", "ha-mn.cluster.test"),
        ("directory", "/xcat/HA_2/a.b"),
        ("directory", "/HA/..a"),
        ("directory", "/" + 200 * "a"),
        ("text", "./go xcat;$(1)"),
    ],
)
def test_value_is_accepted_as_it_is(kind, good):
    assert xcatha.option_value(kind, good) == good


@pytest.mark.parametrize(
    "kind, bad",
    [
        ("address", "10.5.106.999"),
        ("address", "10.5.106"),
        ("address", "::1"),
        ("address", ""),
        ("address", "10.5.106.\uff15\uff10"),
        ("address", "10.5.106.50\n"),
        ("address", "127.0.0.1"),
        ("address", "224.0.0.1"),
        ("address", "255.255.255.255"),
        ("address", "0.0.0.0"),
        ("address", "240.0.0.1"),
        ("netmask", ""),
        ("netmask", "-1"),
        ("netmask", "255.0.0.0\n"),
        ("netmask", "255.0.255.0"),
        ("netmask", "0.0.0.255"),
        ("netmask", "24"),
        ("NIC", "a-label-of-16c:0"),
        ("NIC", "eth0:"),
        ("NIC", "eth0;reboot"),
        ("NIC", "-eth0"),
        ("NIC", "eth0\n"),
        ("NIC", "\033[31meth0"),
        ("NIC", ""),
        ("host", "ha_mn"),
        ("host", "-hamn"),
        ("host", "hamn-"),
        ("host", "a" * 64),
        ("host", ".".join(["a" * 13] * 5)),
        ("host", "Localhost"),
        ("host", "localhost.localdomain"),
        ("host", "hamn\n"),
        ("host", ""),
        ("directory", "HA"),
        ("directory", "/H A"),
        ("directory", "/HA\n"),
        ("directory", "/HA%n"),
        ("directory", "/HA/../etc"),
        ("directory", "/HA/.."),
        ("directory", "/$(reboot)"),
        ("directory", "/HA\udcff"),
        ("directory", ""),
        ("engine", "oracle"),
        ("engine", "PostgreSQL"),
        ("engine", ""),
    ],
)
def test_value_is_refused_and_named(kind, bad):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        xcatha.option_value(kind, bad)
    assert repr(bad) in str(error.value)


@pytest.mark.parametrize(
    "kind",
    [
        "address",
        "netmask",
        "NIC",
        "host",
        "directory",
        "engine",
        "text",
    ],
)
@pytest.mark.parametrize("letter", "/9a")
def test_value_of_any_length_is_refused_and_clipped(kind, letter):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        xcatha.option_value(kind, 10000 * letter)
    assert repr(70 * letter) in str(error.value) and 71 * letter not in str(error.value)


@pytest.mark.parametrize("path", ["/" + 201 * "a", 513 * "/a"])
def test_path_that_no_filesystem_could_hold_is_too_long(path):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        xcatha.option_value("directory", path)
    assert "is too long" in str(error.value)


@pytest.mark.parametrize("line", ["", "-s -a", "-s -x", "-s -v", "-s extra"])
def test_wrong_line_is_a_usage_error(line, capsys):
    with pytest.raises(SystemExit) as end:
        parse(line)
    assert end.value.code == xcatha.USAGE and "usage:" in capsys.readouterr().err


def test_version_is_printed(capsys):
    with pytest.raises(SystemExit) as end:
        parse("--version")
    assert end.value.code == 0 and xcatha.VERSION in capsys.readouterr().out


def test_missing_option_is_a_usage_error_that_names_it(opts):
    opts.host_name = None
    with pytest.raises(xcatha.HAError) as error:
        xcatha.require(opts, "path", "host_name")
    assert error.value.code == xcatha.USAGE and "-n" in error.value.what


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    shown = capsys.readouterr().out
    options = [flag for action in xcatha.build_parser()._actions for flag in action.option_strings]
    assert [flag for flag in options if flag not in shown] == []


def test_version_of_xcat_is_not_given_together_with_its_source(capsys):
    line = ["-s", "--xcat-core", "/media/core", "--xcat-version", "2.18"]
    with pytest.raises(SystemExit) as end:
        xcatha.build_parser().parse_args(line)
    assert end.value.code == 2
    assert "--xcat-version: not allowed with argument --xcat-core" in capsys.readouterr().err


# ---- Several VIPs ----------------------------------------------------------------------------


def test_further_vips_begin_where_an_option_comes_again():
    opts = xcatha.parse("-a -p /HA -v 10.5.106.50 -i eth0:0 -m 255.0.0.0 "
                        "-i eth1:0 -v 192.168.7.50 -n hamn-bmc -v 172.16.0.50 -i eth1:1".split())
    assert (opts.vip, opts.nic, opts.netmask, opts.host_name) == (
        "10.5.106.50", "eth0:0", "255.0.0.0", None)
    assert [vars(one) for one in opts.others] == [
        {"vip": "192.168.7.50", "nic": "eth1:0", "netmask": None, "host_name": "hamn-bmc"},
        {"vip": "172.16.0.50", "nic": "eth1:1", "netmask": None, "host_name": None}]


@pytest.mark.parametrize("words", [
    "-v 10.5.106.50 -i eth0:0 -v 192.168.7.50", "-v 10.5.106.50 -v 192.168.7.50 -i a -i b",
    "-v 10.5.106.50 -i eth0:0 -v 10.5.106.50 -i eth1:0",
    "-v 10.5.106.50 -i eth0:0 -v 192.168.7.50 -i eth0:0"])
def test_each_of_several_vips_needs_an_address_and_a_nic_of_its_own(capsys, words):
    with pytest.raises(SystemExit) as end:
        xcatha.parse(["-a", *words.split()])
    assert end.value.code == 2
    assert "of several VIPs, each needs its own -v and -i" in capsys.readouterr().err
