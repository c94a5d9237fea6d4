"""The lab: two management nodes, a client and a shared directory, on one machine.

    with Lab() as lab:
        lab.host1.succeed("ip", "address")

Everything a lab makes carries its name: a directory of the cache, a control group and network
namespaces. That is how the next lab finds and removes what a killed one has left.
"""
import atexit
import fcntl
import os
import pathlib
import secrets
import shutil
import signal
import threading

from tests.lab import image, network
from tests.lab.client import Client
from tests.lab.host import Host, forget_container

ADDRESSES = {"host1": "10.5.106.4", "host2": "10.5.106.5"}
CLIENT_ADDRESS = "10.5.106.9"
HERE = pathlib.Path(__file__).parent
PRODUCT = HERE.parents[1] / "xcatha.py"

INTERFACES = """\
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
    address {address}/8
"""
HOSTS_FILE = """\
127.0.0.1 localhost
10.5.106.4 host1
10.5.106.5 host2
10.5.106.9 {download_server}
"""


class Lab:
    """Two booted hosts, the client and the share; use it as a context manager.

    `state` is "fresh" or the name under which `freeze` kept the disks of an earlier lab;
    `share_at` says where each host mounts the share.
    """

    def __init__(self, state="fresh", share_at=None, flavour="el"):
        self.state, self.flavour = state, flavour
        self.share_at = share_at or dict.fromkeys(ADDRESSES, "/HA")
        self.name = f"xcatha-{secrets.token_hex(3)}"
        self.directory = image.cache() / "labs" / self.name
        self.share = self.directory / "share"
        self.hosts, self.locks = [], []

    def __enter__(self):
        assert os.geteuid() == 0, "the lab needs root"
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        atexit.register(self.close)
        try:
            with image.cache_lock():
                sweep()
                self.prepare()
            self.power_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def prepare(self):
        """Build what is missing and claim what this lab uses."""
        self.find_images()
        self.directory.mkdir(parents=True)
        for used in (self.directory, self.base, self.host_layer, *self.ancestry()):
            self.locks.append(claim(used, fcntl.LOCK_SH))
        for stale in (self.base, self.host_layer):
            prune(stale)

    def find_images(self):
        """The images, built if need be."""
        self.base = image.base()
        self.host_layer = image.host_layer(self.base, self.flavour)

    def power_up(self):
        """Lay the cables, boot both hosts at the same time and wait for them."""
        self.copy_share()
        self.network = network.Network(self.name)
        self.client = Client(self, CLIENT_ADDRESS)
        self.hosts = [Host(self, name, address, self.share_at[name])
                      for name, address in ADDRESSES.items()]
        self.host1, self.host2 = self.client.hosts = self.hosts
        for host in self.hosts:
            if self.state == "fresh":
                configure(host)
            host.power_on()
        for host in self.hosts:
            host.wait_up()

    def copy_share(self):
        """A share of this lab's own: empty, or a copy of the frozen one."""
        if self.state == "fresh":
            self.share.mkdir()
        else:
            image.command("cp", "-a", self.state_directory(self.state) / "share", self.share)

    def share_of(self, name):
        """The directory that a host has as its share."""
        return self.share

    def lowers(self, host):
        """The layers below the host's disk, topmost first."""
        return [*(state / host for state in self.ancestry()), self.host_layer / "disk", self.base]

    def ancestry(self):
        """The directories of this lab's state and of the states it was made from."""
        found, state = [], self.state
        while state != "fresh":
            found.append(self.state_directory(state))
            assert found[-1].exists(), f"no lab was frozen as {state!r} with the present files"
            state = (found[-1] / "parent").read_text()
        return found

    def state_directory(self, state):
        """Where a state is kept, named after everything that it depends on."""
        sources = sorted(HERE.glob("*.py"), key=str)
        key = image.digest(self.base.name, self.host_layer.name, self.share_at,
                           *(source for source in [PRODUCT, *sources]
                             if source.exists() and not source.name.startswith("test_")))
        return image.cache() / "states" / f"{state}-{key}"

    def is_frozen(self):
        """True if the state that this lab is to start from is there, made by the present files."""
        with image.cache_lock():
            self.find_images()
        return self.state == "fresh" or self.state_directory(self.state).exists()

    def freeze(self, state):
        """Shut both hosts down and keep their disks and the share as `state`; ends this lab."""
        def fill(directory):
            for host in self.hosts:
                if host.pid:
                    host.shutdown()
                image.command("umount", host.root)
                host.upper.rename(directory / host.name)
            self.share.rename(directory / "share")
            (directory / "parent").write_text(self.state)

        target = self.state_directory(state)
        with image.cache_lock():
            image.stored(target, fill)
            prune(target)
        self.close()

    def close(self):
        """Stop everything at once and remove every trace; it may be called at any moment."""
        atexit.unregister(self.close)
        try:
            for host in self.hosts:
                host.kill()
        finally:
            if self.directory.exists():
                remove_lab(self.directory)
        for lock in self.locks:
            os.close(lock)
        self.locks.clear()


def frozen(state, builder, start="fresh", **options):
    """A lab in `state`, which `builder(lab)` makes from `start` unless it is kept already."""
    lab = Lab(state, **options)
    if not lab.is_frozen():
        with Lab(start, **options) as unbuilt:
            builder(unbuilt)
            unbuilt.freeze(state)
    return lab


def configure(host):
    """Give a fresh disk the host's identity, network configuration and the product."""
    files = {"hostname": f"{host.name}\n", "machine-id": f"{secrets.token_hex(16)}\n",
             "hosts": HOSTS_FILE.format(download_server=image.DOWNLOAD_SERVER),
             "network/interfaces": INTERFACES.format(address=host.address),
             "lsb-release": "DISTRIB_CODENAME=bookworm\n",  # which go-xcat asks for
             "resolv.conf": "# no name server yet\n"}
    for name, text in files.items():
        (host.root / "etc" / name).write_text(text)
    if PRODUCT.exists():
        shutil.copy(PRODUCT, host.root / "root")


def claim(directory, how):
    """A lock on a directory of the cache: shared while it is used, exclusive to delete it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def unused(directories):
    """Those of the directories that no living lab uses."""
    for directory in directories:
        lock = claim(directory, fcntl.LOCK_EX)
        if lock is not None:
            yield directory
            os.close(lock)


def prune(current):
    """Delete what earlier recipes built in place of `current`, unless a lab still uses it."""
    stem = current.name.rpartition("-")[0]
    others = [other for other in current.parent.glob(f"{stem}-*")
              if other != current and other.name.rpartition("-")[0] == stem]
    for stale in unused(others):
        image.remove(stale)


def sweep():
    """Remove what labs have left whose process is dead."""
    for directory in unused(list((image.cache() / "labs").glob("*"))):
        remove_lab(directory)


def remove_lab(directory):
    """Remove a lab's processes, namespaces, mounts, control groups and files, in this order."""
    image.remove_cgroup(image.cgroup_root() / directory.name)
    network.remove_namespaces(directory.name)
    for name in ADDRESSES:
        forget_container(f"{directory.name}-{name}")
    image.remove(directory)
