"""The judges see what they are asked about."""
import os
import subprocess

import pytest

from tests.lab.judge import differences
from tests.lab.picture import picture

CHANGES = {
    "contents": "printf changed >file",
    "mode": "chmod 600 file",
    "owner": "chown 7 file",
    "group": "chgrp 7 file",
    "ACL": "setfacl -m u:nobody:r file",
    "default ACL": "setfacl -d -m u:nobody:r .",
    "extended attribute": "setfattr -n user.origin -v here file",
    "broken hard link": "cp -p file copy && mv copy twin",
    "link's target": "ln -snf elsewhere link",
    "holes": "cp --sparse=never -p holes copy && mv copy holes",
    "new file": "touch new",
    "lost file": "rm twin",
    "rewritten file": "cp file copy && mv copy file",
    "time": "touch -d 2001-01-01 file",
}


@pytest.fixture
def tree(tmp_path):
    """A small tree of each kind of file."""
    run(tmp_path, "printf original >file; ln file twin; ln -s file link; truncate -s 1M holes")
    return tmp_path


def run(tree, script):
    subprocess.run(["sh", "-ec", script], cwd=tree, check=True)


def test_two_pictures_of_the_same_tree_are_the_same(tree):
    assert differences(picture(tree), picture(tree)) == {}


@pytest.mark.parametrize("change", CHANGES)
def test_picture_shows(tree, change):
    before = picture(tree)
    run(tree, CHANGES[change])
    assert differences(before, picture(tree)) != {}


def test_picture_leaves_the_counter_of_the_lease_out(tree):
    (tree / ".xcatha").mkdir()
    (tree / ".xcatha/lease").write_text("1")
    before = picture(tree)
    (tree / ".xcatha/lease").write_text("2")
    assert differences(before, picture(tree)) == {}


def test_picture_does_not_follow_links(tree):
    (tree / "root").symlink_to("/")
    assert os.path.join(tree, "root") in picture(tree)
    assert len(picture(tree)) == 6
