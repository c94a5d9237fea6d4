"""Data whose loss or damage shows: acknowledged rows, fsynced files, and pages never sent."""
import hashlib
import json
import re
import subprocess
import threading
import time

from tests.lab.image import wait_for
from tests.vm.disks import SHARE

DATABASE = "xcatdb"
FOLDER = "/install/evidence"
MARK = "NEVER-SYNCED-"

# Each line is printed when the row is committed and the file and its name are on the disk.
WRITER = """
import hashlib, itertools, json, os, psycopg2, sys
rows = psycopg2.connect(dbname="xcatdb")
rows.autocommit = True
cursor = rows.cursor()
cursor.execute("create table if not exists acknowledged (n serial primary key, word text)")
for number in itertools.count():
    cursor.execute("insert into acknowledged (word) values (%s) returning n", ["x" * 200])
    row, = cursor.fetchone()
    if sys.argv[1] == "rows":
        print(json.dumps([row]), flush=True)
        continue
    name, data = "file-%d" % row, os.urandom(20000)
    with open(name, "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    folder = os.open(".", os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    print(json.dumps([row, name, hashlib.md5(data).hexdigest()]), flush=True)
"""

# Opens everything beforehand; at a line of input it writes what it never syncs, page by page into a
# file and, in a transaction that is never committed, into the database and its log.
DIRTIER = """
import mmap, os, psycopg2, sys, threading, time
rows = psycopg2.connect(dbname="xcatdb")
cursor = rows.cursor()
insert = "insert into acknowledged (word) select %s || i from generate_series(1, %s) i"
cursor.execute("create table if not exists acknowledged (n serial primary key, word text)")
rows.commit()
cursor.execute(insert, ["warm", 10])
rows.rollback()
page = os.open("page", os.O_RDWR | os.O_CREAT, 0o644)
os.pwrite(page, b"old " * 1024 * 8, 0)
os.fsync(page)
print("ready", flush=True)
sys.stdin.readline()
mark = sys.argv[1]
os.pwrite(page, (mark.encode() + b" ") .ljust(4096, b"#") * 8, 0)
print("dirty", flush=True)
threading.Thread(target=lambda: cursor.execute(insert, [mark * 20, 20000]), daemon=True).start()
while True:  # holds its file and its connection for as long as it may
    time.sleep(1)
"""


def as_postgres(node, *argv, **options):
    """Run a command as the database's user."""
    return node.succeed("runuser", "-u", "postgres", "--", *argv, **options)


def make_folder(node):
    """The folder of evidence, on the share."""
    node.succeed("install", "-d", "-m", "0777", FOLDER)


class Script:
    """A Python script that runs as the database's user in the folder of evidence."""

    def __init__(self, node, text, *argv):
        make_folder(node)
        self.lines, self.times = [], []
        self.process = node.popen(
            "sh", "-c", f'cd {FOLDER} && exec runuser -u postgres -- python3 -c "$@"', "sh",
            text, *argv, stdin=subprocess.PIPE, stderr=subprocess.STDOUT)
        # The lines are taken as they come: what was read before the power went counts.
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        """Keep each line."""
        for line in self.process.stdout:
            self.times.append(time.time())
            self.lines.append(line.rstrip())

    def wait_for_lines(self, number, timeout=300):
        """Wait for so many lines."""
        wait_for(lambda: len(self.lines) >= number or self.process.poll() is not None, timeout,
                 f"{number} lines", 0.2)
        assert len(self.lines) >= number, self.lines

    def longest_silence(self, since):
        """The longest time between two lines after a moment."""
        times = [since, *(moment for moment in self.times if moment > since), time.time()]
        return round(max(after - before for before, after in zip(times, times[1:])), 1)

    def stop(self):
        """End the connection to it; its node may be dead."""
        self.process.kill_group()
        self.reader.join(10)


class Writer(Script):
    """Writes rows and files, or rows alone, until its node is gone."""

    def __init__(self, node, what="both"):
        super().__init__(node, WRITER, what)

    @property
    def acknowledged(self):
        """[row, file, md5] of all that was committed and synced, as the writer said itself."""
        return [json.loads(line) for line in self.lines if line.startswith("[")]


class Dirtier(Script):
    """A process with pages that it never syncs, marked with a word of its own."""

    def __init__(self, node, mark):
        super().__init__(node, DIRTIER, mark)
        self.wait_for_lines(1)
        assert self.lines == ["ready"], self.lines

    def dirty(self):
        """Write the pages; they stay in the kernel of the node where the share does not answer."""
        self.process.stdin.write("now\n")
        self.process.stdin.flush()
        self.wait_for_lines(2)


def rows(node):
    """The numbers of the rows that the database has."""
    query = "select n from acknowledged where word !~ '^warm' order by n"
    answer = as_postgres(node, "psql", "-qAtX", "-d", DATABASE, "-c", query)
    return [int(line) for line in answer.split()]


def insert(node, number):
    """Insert rows, each committed on its own; their numbers."""
    query = "insert into acknowledged (word) values ('after') returning n"
    answer = as_postgres(node, "psql", "-qAtX", "-d", DATABASE,
                         *(word for _ in range(number) for word in ("-c", query)))
    return [int(line) for line in answer.split()]


def check_database(node):
    """Every table can be dumped, and pg_amcheck finds nothing in tables and indexes."""
    dump = as_postgres(node, "pg_dumpall")
    assert "\n-- PostgreSQL database cluster dump complete\n" in dump[-100:]
    as_postgres(node, "pg_amcheck", "--all", "--install-missing", "--heapallindexed")
    return dump


def md5(store, *names):
    """{name: md5} of files of evidence, read by the store itself."""
    folder = SHARE + FOLDER
    lines = store.succeed("sh", "-c", f'cd {folder} && md5sum "$@"', "sh", *names).splitlines()
    return {line.split(maxsplit=1)[1]: line.split()[0] for line in lines}


def lost(node, store, acknowledged):
    """Which of the acknowledged rows and files are not there, or not as they were."""
    there = set(rows(node))
    missing = [f"row {row}" for row, *_ in acknowledged if row not in there]
    files = [file for _, *file in acknowledged if file]
    sums = md5(store, *(name for name, _ in files)) if files else {}
    return missing + [name for name, was in files if sums.get(name) != was]


def marked(store, mark):
    """The files of the share in which the store finds a mark."""
    found = store.run("grep", "-rlaF", mark, SHARE)
    assert found.returncode in (0, 1), store.report(found)
    return [re.sub(f"^{SHARE}", "", line) for line in found.stdout.splitlines()]


def put_page(node, word):
    """Write the page of evidence anew and sync it; its md5."""
    text = (word + " ").ljust(4096, "#") * 8
    node.succeed("sh", "-ec", f"cat >{FOLDER}/page && sync {FOLDER}/page {FOLDER}", input=text)
    return hashlib.md5(text.encode()).hexdigest()
