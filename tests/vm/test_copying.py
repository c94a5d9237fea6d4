"""What the copy of setup costs on NFS: `sh tests/run.sh -m vm tests/vm/test_copying.py`.

Times are those of emulated processors; the calls to the server are counted too, and they are what
takes the time on a real network.
"""
import shlex
import time

import pytest

SMALL_FILES = """
mkdir -p /install/small && cd /install/small
for d in $(seq 20); do mkdir $d; for f in $(seq 100); do echo $d $f >$d/$f; done; done
"""
DATABASE = """
install -d -o postgres -g postgres -m 0700 /var/lib/pgsql/data
runuser -u postgres -- initdb -D /var/lib/pgsql/data
"""
TREES = {"2000 small files": ("/install/small", SMALL_FILES),
         "PostgreSQL": ("/var/lib/pgsql/data", DATABASE)}
WAYS = {
    "plain rsync -a": ["rsync", "-a"],
    "without -A and -X": ["rsync", "-aHS", "--numeric-ids", "--one-file-system", "--delete"],
    "with -X": ["rsync", "-aHXS", "--numeric-ids", "--one-file-system", "--delete"],
    "with -A": ["rsync", "-aHAS", "--numeric-ids", "--one-file-system", "--delete"],
    "without -A and -X, --inplace": ["rsync", "-aHS", "--numeric-ids", "--one-file-system",
                                     "--delete", "--inplace"],
}
PRODUCT = "import xcatha, sys; print('\\0'.join(xcatha.rsync_line(*sys.argv[1:])))"


def calls(node):
    """How many calls the node has made to NFS servers."""
    lines = node.succeed("cat", "/proc/net/rpc/nfs").splitlines()
    return int(next(line for line in lines if line.startswith("rpc ")).split()[1])


@pytest.mark.parametrize("version", [4, 3])
def test_copy_of_setup_against_plain_rsync(racks, version, tell):
    rack = racks("fresh", mounts=version)
    node = rack.host1
    for what, (top, script) in TREES.items():
        node.succeed("sh", "-ec", script)
        line = node.succeed("python", "-c", PRODUCT, "/HA", top).strip("\n").split("\0")
        sizes = {}
        for way, command in [("the product", line[:-2]), *WAYS.items()]:
            target = f"/HA/copy-{len(sizes)}"
            node.succeed("mkdir", target)
            before, started = calls(node), time.monotonic()
            result = node.run(*command, f"{top}/", f"{target}/", timeout=1800)
            node.succeed("sync", "-f", "/HA")
            took, made = time.monotonic() - started, calls(node) - before
            tell(f"copy, NFSv{version}, {what}: {way} ({shlex.join(command)}): "
                 f"{took:.0f} s, {made} calls, exit {result.returncode}")
            sizes[way] = node.succeed("sh", "-c", 'find "$0" -type f | wc -l', target)
        assert len(set(sizes.values())) == 1, sizes
        node.succeed("sh", "-c", "rm -rf /HA/copy-*")
