"""Exit 2: a command line that cannot be carried out changes nothing and says what is wrong."""

import pytest

from tests.fakes.lines import ACTIVATE, SETUP

WRONG_VALUES = [
    ("-v", "10.5.106.999"),
    ("-v", "hamn"),
    ("-m", "255.0.255.0"),
    ("-m", "8"),
    ("-i", "eth0:a-label-of-16"),
    ("-i", "eth0 "),
    ("-n", "hamn-"),
    ("-n", "ha_mn;reboot"),
    ("-p", "HA"),
    ("-p", "/HA\n"),
    ("-t", "oracle"),
    ("--exclude", "install"),
    ("-p", "/HA/../etc"),
    ("--exclude", "/a/../b"),
    ("-p", "/HA/$(reboot)"),
    ("-v", "$(reboot)"),
    ("-i", "$(reboot)"),
    ("-n", "$(reboot)"),
    ("-m", "$(reboot)"),
    ("-t", "$(reboot)"),
    ("--exclude", "/$(reboot)"),
]
CHECKED = "--path --vip --nic --host-name --netmask --dbtype --exclude".split()
NO_COMMAND = SETUP[1:]


def usage_error(node, *argv, **options):
    """Run the script, which must refuse its command line and change nothing; what it says."""
    before = node.picture()
    done = node.xcatha(*argv, code=2, **options)
    assert not node.changes_since(before) and "Traceback" not in done.stderr
    assert len(done.stderr) < 2000
    return done.stderr


@pytest.mark.parametrize("option, value", WRONG_VALUES)
def test_wrong_value_is_named(node, option, value):
    assert repr(value) in usage_error(node, *SETUP, option, value)


@pytest.mark.parametrize("option", CHECKED)
def test_value_with_a_leading_dash_is_named(node, option):
    assert "'-x' is" in usage_error(node, *SETUP, option + "=-x")


@pytest.mark.parametrize("option", [*CHECKED, "--go-xcat", "--log"])
def test_value_of_10_kb_is_clipped_where_it_is_named(node, option):
    value = "/" + 10000 * "x"
    usage, complaint = usage_error(node, *SETUP, option, value).splitlines()
    assert repr(value[:70]) in complaint and value[:71] not in complaint


def test_one_command_is_needed(node):
    assert "required" in usage_error(node, *NO_COMMAND)


def test_two_commands_are_too_many(node):
    assert "not allowed with" in usage_error(node, *SETUP, "-a")


@pytest.mark.parametrize("option", ["-p", "-v", "-i", "-n"])
def test_missing_option_of_setup_is_named(node, option):
    place = SETUP.index(option)
    assert option in usage_error(node, *SETUP[:place], *SETUP[place + 2 :])


def test_option_that_does_not_exist_is_named(node):
    assert "--force" in usage_error(node, *ACTIVATE, "--force")


def test_only_root_may_run_it(node):
    node.path("/root").chmod(0o755)
    before = node.picture()
    user = ["setpriv", "--reuid=26", "--regid=26", "--clear-groups"]
    done = node.fail(*user, *node.script(*ACTIVATE), code=2)
    assert "root" in done.stderr and not node.changes_since(before)


def test_missing_library_is_named_with_the_command_that_installs_it(node):
    node.path("/root/psutil.py").write_text("raise ImportError\n")
    message = usage_error(node, *ACTIVATE)
    assert message.count("\n") == 1 and "dnf install python3-psutil" in message


def test_nothing_is_refused_for_want_of_netifaces(members):
    host1, _ = members
    recorded = host1.path("/HA/.xcatha/nodes/host1.json")
    before = recorded.read_text()
    host1.path("/root/netifaces.py").write_text("raise ImportError\n")
    host1.xcatha(*ACTIVATE)
    assert recorded.read_text() == before  # the hardware address, too
