"""A setup fails after the copy, the node works on: the next setup takes its newest data."""

import json

import pytest

from tests.fakes.lines import SETUP

CHDEF = "/opt/xcat/bin/chdef -t site -o clustersite".split()
AFTER_THE_COPY = "lsxcatd -a"


def write(node, path, text):
    node.succeed("tee", path, input=text)


@pytest.fixture
def retried(node):
    """A management node whose first setup failed, which then worked on, and was set up again."""
    node.succeed("/usr/local/lib/fakes/go-xcat", "--yes", "install")
    for name in ("kept", "changed", "removed"):
        write(node, f"/install/{name}", "old\n")
    node.plan("FAIL_ON", AFTER_THE_COPY)
    node.xcatha(*SETUP, code=1)
    node.heal()
    write(node, "/install/changed", "new\n")
    write(node, "/install/added", "new\n")
    node.succeed("rm", "/install/removed")
    node.succeed(*CHDEF, "domain=newest.test")
    node.xcatha(*SETUP)
    return node


@pytest.mark.timeout(120)
def test_newest_data_is_on_the_share(retried):
    files = {file.name: file.read_text() for file in (retried.share / "install").iterdir()
             if file.is_file()}
    assert files == {"kept": "old\n", "changed": "new\n", "added": "new\n"}
    rows = json.loads((retried.share / "var/lib/pgsql/data/tables.json").read_text())
    assert rows["site"]["domain"] == "newest.test"
