"""Files: replaced in one instant, moved aside and never deleted, put back after a failure."""

import http.server
import os
import stat
import threading

import pytest

import xcatha


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "file")


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def read(path):
    with open(path) as file:
        return file.read()


def test_new_file_has_the_wanted_mode(path):
    xcatha.write_file(path, "text", 0o600)
    assert read(path) == "text" and stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_replaced_file_keeps_its_mode_and_is_another_inode(path):
    write(path, "old")
    os.chmod(path, 0o640)
    with open(path) as old:
        xcatha.write_file(path, "new", 0o600)
        assert old.read() == "old"
    assert read(path) == "new" and stat.S_IMODE(os.stat(path).st_mode) == 0o640


def test_server_that_refuses_labels_keeps_no_file_from_being_written(path, monkeypatch):
    def refuse(*_):
        raise OSError(524, "Unknown error 524")

    write(path, "old")
    os.chmod(path, 0o640)
    monkeypatch.setattr(xcatha.shutil, "copystat", refuse)
    xcatha.write_file(path, "new", 0o600)
    assert read(path) == "new" and stat.S_IMODE(os.stat(path).st_mode) == 0o640


def test_replacing_leaves_nothing_behind(path):
    xcatha.write_file(path, "text")
    assert os.listdir(os.path.dirname(path)) == ["file"]


def test_file_that_is_right_is_not_written(path):
    write(path, "text")
    before = os.stat(path)
    assert not xcatha.change_file(path, "text")
    assert os.stat(path) == before


def test_changed_file_is_put_back_by_undo(path, undo):
    write(path, "old")
    assert xcatha.change_file(path, "new")
    undo()
    assert read(path) == "old"


def test_line_ends_and_foreign_bytes_are_put_back_by_undo(path, undo):
    before = b"a\r\nb\rc\n\xfc\xff \xe2\x80\xa8\x0c\xc2\x85\r\n"
    with open(path, "wb") as file:
        file.write(before)
    text = xcatha.read_text(path)
    assert "".join(xcatha.lines_of(text)) == text and xcatha.newline_of(text) == "\r\n"
    assert xcatha.change_file(path, "nameserver 10.5.106.50\r\n" + text)
    with open(path, "rb") as file:
        assert file.read() == b"nameserver 10.5.106.50\r\n" + before
    undo()
    with open(path, "rb") as file:
        assert file.read() == before


def test_file_of_any_bytes_survives_reading_and_writing(path):
    with open(path, "wb") as file:
        file.write(b"caf\xe9\n")
    xcatha.write_file(path, xcatha.read_text(path) + "more\n")
    with open(path, "rb") as file:
        assert file.read() == b"caf\xe9\nmore\n"


def test_missing_file_reads_as_the_default(path):
    assert xcatha.read_text(path, "default") == "default"


def test_made_directories_have_the_mode_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        xcatha.make_directory(str(tmp_path / "a" / "b"), 0o755)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o755


def test_rename_never_replaces(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(xcatha.HAError) as error:
        xcatha.rename(str(tmp_path / "a"), str(tmp_path / "b"))
    assert " is in the way of " in error.value.what and error.value.hint == "move it away"
    assert (tmp_path / "a").exists()


def test_first_backup_bears_the_plain_suffix(path):
    write(path, "first")
    assert xcatha.back_up(path, ".xcatbak") == path + ".xcatbak"


def test_second_backup_bears_a_time_stamp_and_the_first_stays(path):
    for text in ("first", "second"):
        write(path, text)
        xcatha.back_up(path, ".xcatbak")
    first, second = xcatha.backups_of(path)
    assert (read(first), read(second)) == ("first", "second")
    assert second.startswith(path + ".xcatbak-")


def test_backups_of_the_same_second_have_names_of_their_own(path):
    for text in ("first", "second", "third"):
        write(path, text)
        xcatha.back_up(path, ".xcatbak")
    assert [read(name) for name in xcatha.backups_of(path)] == ["first", "second", "third"]


def test_newest_backup_returns(path):
    for text in ("first", "second"):
        write(path, text)
        xcatha.back_up(path, ".xcatbak")
    xcatha.unlink_directory("/HA", path)
    assert read(path) == "second" and read(path + ".xcatbak") == "first"


def test_backup_does_not_replace_what_is_there(path):
    write(path, "old")
    xcatha.back_up(path, ".xcatbak")
    write(path, "new")
    xcatha.unlink_directory("/HA", path)
    assert read(path) == "new"


def test_dry_run_writes_no_file_but_remembers_it(path, dry_run, capsys):
    xcatha.write_file(path, "text")
    assert not os.path.exists(path) and xcatha.read_text(path) == "text"
    assert path in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        lambda path: xcatha.make_link(path + "-link", path),
        lambda path: xcatha.rename(path, path + "-new"),
        lambda path: xcatha.remove_file(path),
        lambda path: xcatha.make_directory(path + "-dir/below"),
    ],
    ids="link rename remove directory".split(),
)
def test_dry_run_changes_no_name_but_says_so(path, dry_run, capsys, change):
    write(path, "text")
    change(path)
    assert os.listdir(os.path.dirname(path)) == ["file"]
    assert path in capsys.readouterr().out


def test_dry_run_knows_the_links_it_would_have_made(path, dry_run):
    xcatha.make_link(path, "/HA/install")
    assert xcatha.exists(path) and xcatha.link_target(path) == "/HA/install"
    xcatha.remove_file(path)
    assert not xcatha.exists(path) and xcatha.link_target(path) == ""


# ---- What rsync complains of -------------------------------------------------------------

UNSUPPORTED = [
    "rsync: [generator] set_acl: xacl_set(d, ACL_TYPE_DEFAULT): Operation not supported (95)",
    'rsync: rsync_xal_set: lsetxattr("/HA/a","security.capability") failed:'
    " Operation not supported (95)",
]
WORSE = [
    'rsync: [receiver] mkstemp "/HA/.a.8Bn5D1" failed: No space left on device (28)',
    'rsync: [sender] send_files failed to open "/set_acl: Operation not supported (95)":'
    " Permission denied (13)",
    'rsync: [generator] mknod "/HA/fifo" failed: Operation not supported (95)',
]
END = "rsync error: some files/attrs were not transferred (see previous errors) (code 23)"


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Copies a directory with an rsync that ends with 23 and these complaints."""

    def run(complaints):
        answer = 23, "", "\n".join(complaints + [END])
        monkeypatch.setattr(xcatha, "do", lambda argv, *args, **kwargs: answer)
        monkeypatch.setattr(xcatha, "expect_lease", lambda share: None)
        xcatha.copy_directory("/HA", str(tmp_path))

    return run


def test_acls_and_attributes_that_the_share_cannot_store_are_a_warning(copy, capsys):
    copy(UNSUPPORTED)
    warning = capsys.readouterr().err
    assert "cannot store 2 ACLs or extended attributes" in warning and UNSUPPORTED[0] in warning


@pytest.mark.parametrize("complaint", WORSE)
def test_worse_complaint_of_rsync_is_an_error_that_names_it(copy, complaint):
    with pytest.raises(xcatha.HAError) as error:
        copy(UNSUPPORTED + [complaint])
    assert complaint in error.value.evidence


# ---- What a web server can deliver -------------------------------------------------------------


def test_first_public_file_is_one_that_everybody_may_read(tmp_path):
    for name, mode in (("a/secret", 0o600), (".hidden", 0o644), ("with space", 0o644)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch(mode)
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "closed/file").touch(0o644)
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert xcatha.first_public_file(str(tmp_path)) == ""
    (tmp_path / "open/deep").mkdir(parents=True)
    (tmp_path / "open/deep/file").touch(0o644)
    assert xcatha.first_public_file(str(tmp_path)) == str(tmp_path / "open/deep/file")


def test_missing_directory_has_no_public_file(tmp_path):
    assert xcatha.first_public_file(str(tmp_path / "missing")) == ""


@pytest.mark.parametrize("units, told", [
    ({}, []),
    ({"httpd.service": {"ActiveState": "active"}}, []),
    ({"httpd.service": {"ActiveState": "inactive"}}, [
        ("the web server is down; nodes install from it", "systemctl enable --now httpd.service")]),
])
def test_server_that_is_down_refuses_nothing_and_is_told_where_it_is_installed(
        monkeypatch, tmp_path, units, told):
    monkeypatch.setattr(xcatha, "first_public_file", lambda directory: directory + "/file")
    monkeypatch.setattr(xcatha, "WEB_CONFIGURATION", ((str(tmp_path), "httpd"),))
    monkeypatch.setattr(xcatha, "units_of", lambda *names: units)
    assert list(xcatha.delivery_notes("127.254.254.254", {})) == told


def test_web_server_is_asked_at_the_port_that_xcat_has(monkeypatch, tmp_path):
    monkeypatch.setattr(xcatha, "first_public_file", lambda directory: directory + "/file")
    monkeypatch.setattr(xcatha, "WEB_CONFIGURATION", ((str(tmp_path), "httpd"),))
    monkeypatch.setattr(xcatha, "units_of", lambda *_: {"httpd.service": {}})

    class Refuses(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(403)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = {"httpport": str(server.server_port)}
        found = [note for note, _ in xcatha.delivery_notes("127.0.0.1", site)]
        server.shutdown()
    assert found == ["the web server does not deliver /install/file /tftpboot/file"]


# ---- What xCAT's makers rewrite ----------------------------------------------------------------


@pytest.fixture
def maker(monkeypatch, tmp_path):
    """The file of a maker, with what is kept of it at each run; the maker then writes it anew."""
    path = tmp_path / "file.conf"
    path.write_text("by hand")

    def originals(command):
        monkeypatch.setattr(xcatha, "MAKER_FILES", {command: [str(path)]})
        return xcatha.originals(command.split())

    def run(command):
        kept = list(originals(command))
        for source, target in kept:
            with open(source) as original, open(target, "w") as copy:
                copy.write(original.read())
        if command.startswith("makedhcp"):
            path.rename(str(path) + ".xcatbak")
        path.write_text("by xCAT")
        return [target[len(str(path)):] for _, target in kept]

    run.path, run.originals = path, originals
    return run


def test_original_is_kept_once(maker):
    assert [maker("makedns -n") for _ in range(3)] == [[".xcatbak"], [], []]
    assert maker.path.with_name("file.conf.xcatbak").read_text() == "by hand"


def test_original_of_dhcpd_is_kept_where_makedhcp_does_not_overwrite_it(maker):
    assert [maker("makedhcp -n") for _ in range(3)] == [[".xcatbak-kept"], [], []]
    assert maker.path.with_name("file.conf.xcatbak-kept").read_text() == "by hand"


def test_older_backup_of_dhcpd_is_kept_as_well(maker):
    maker.path.with_name("file.conf.xcatbak").write_text("older")
    assert maker("makedhcp -n") == [".xcatbak-kept", ".xcatbak-kept-older"]
    assert maker.path.with_name("file.conf.xcatbak-kept-older").read_text() == "older"


def test_link_that_leads_nowhere_is_no_original(maker):
    maker.path.unlink()
    maker.path.symlink_to("../missing.conf")
    assert maker("makedns -n") == []


def test_link_that_leads_nowhere_yet_is_nothing_to_keep(maker):
    maker.path.unlink()
    maker.path.symlink_to("missing")
    assert list(maker.originals("makedns -n")) == []


def test_maker_without_a_file_of_its_own_keeps_nothing(maker):
    assert list(xcatha.originals(["makedhcp", "-a"])) == []
