"""--status --json: the same keys in every state, as the schema has and explains them."""

import json
import pathlib
import re

import jsonschema
import pytest

from tests.fakes.lines import ACTIVATE, SETUP

REPOSITORY = pathlib.Path(__file__).parents[2]
SCHEMA = json.loads((REPOSITORY / "tests/data/status.schema.json").read_text())
USER = ["setpriv", "--reuid=26", "--regid=26", "--clear-groups"]


def view(node, *prefix):
    """What --status --json prints, which must be as the schema has it."""
    printed = json.loads(node.run(*prefix, *node.script("--status", "--json")).stdout)
    checker = jsonschema.FormatChecker()
    jsonschema.validate(printed, SCHEMA, format_checker=checker)
    return printed


def test_schema_itself_is_valid():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_node_that_was_never_set_up(node):
    assert view(node)["role"] == "unknown"


def test_standby_and_active_node(members):
    host1, host2 = members
    host1.xcatha(*ACTIVATE)
    assert [view(node)["role"] for node in members] == ["active", "standby"]
    assert view(host2)["vip"]["answered_by"] == "52:54:00:00:00:01"


def test_inconsistent_node(members):
    host1, _ = members
    host1.succeed("systemctl", "enable", "xcatd")
    host1.succeed("mkdir", "/tftpboot.xcatbak")
    found = view(host1)
    fixes = [item["fix"] for kind in ("problems", "notes") for item in found[kind]]
    backup = "/tftpboot.xcatbak"
    of_storage = "see the README, Which storage, mounted by whom"  # the share is a disk's
    assert sorted(fixes) == [
        f"mv {backup} {backup}.old", of_storage, "systemctl disable xcatd.service"]


def test_setup_that_was_killed(node):
    node.plan("SIGKILL_ON", "rsync")
    node.run(*node.script(*SETUP))
    node.heal()
    assert view(node)["record"]["state"] == "setting up"


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', '{"format": 2}'])
def test_record_that_cannot_be_read(members, text):
    members[0].path("/HA/.xcatha/cluster.json").write_text(text)
    found = view(members[0])
    assert found["role"] == "unknown" and "cluster.json" in found["problems"][0]["problem"]


@pytest.mark.parametrize("text", ["{", "[]", '{"os": "rocky 9.4"}'])
def test_record_of_a_node_and_lease_that_cannot_be_read(members, text):
    for name in ("nodes/host1.json", "nodes/host2.json", "lease"):
        members[0].path(f"/HA/.xcatha/{name}").write_text(text)
    found = view(members[0])
    assert (found["nodes"], found["lease"]) == ({}, {"held_here": False})
    assert "this node is not set up" in [item["problem"] for item in found["problems"]]


def test_share_that_is_not_mounted(members):
    members[0].succeed("umount", "/HA")
    found = view(members[0])
    assert found["role"] == "unknown" and found["problems"][0]["fix"] == "mount /HA"


def test_user_who_is_not_root_is_told_what_only_root_sees(members):
    host1, _ = members
    host1.path("/root").chmod(0o755)
    host1.path("/var/lib/fakes/log").chmod(0o666)
    assert "whoever is not root knows no path" in " ".join(view(host1, *USER)["unseen"])
    host1.xcatha(*ACTIVATE)
    assert "only root may read them" in " ".join(view(host1, *USER)["unseen"])


def test_settings_that_only_root_may_read_are_named_to_others(members):
    host1, _ = members
    host1.path("/root").chmod(0o755)
    host1.path("/var/lib/fakes/log").chmod(0o666)
    settings = "/etc/netplan/01-site.yaml"
    host1.succeed("install", "-D", "-m", "600", "/dev/stdin", settings, input="network:\n")
    host1.xcatha(*ACTIVATE)  # now others, too, know the VIP that they may hold
    assert f"{settings}: only root may read it" in view(host1, *USER)["unseen"]
    assert view(host1)["unseen"] == []


# ---- The schema as documentation ---------------------------------------------------------------


def keys_within(schema):
    """Every key that a value of this schema may have, at any depth."""
    found = set(schema.get("properties", {}))
    parts = [*schema.get("properties", {}).values(), schema.get("additionalProperties")]
    for part in [*parts, schema.get("items")]:
        found |= keys_within(part) if isinstance(part, dict) else set()
    return found


@pytest.mark.parametrize("key", SCHEMA["properties"])
def test_schema_says_in_words_what_each_key_holds(key):
    schema = SCHEMA["properties"][key]
    words = set(re.findall(r"\w+", schema["description"]))
    assert keys_within(schema) - words == set()
