"""Three virtual machines: two management nodes and the NFS server that holds their share.

    with Rack("pair") as rack:
        rack.host1.succeed("python", "xcatha.py", "--status")

They boot once; then they are kept as they are, memory and all, and each rack goes on from there a
few seconds later. "pair" takes over what setup did on two hosts of the lab (tests/lab), where that
takes seconds; only the tests of setup itself run it on emulated processors.
"""
import contextlib
import fcntl
import functools
import os
import shutil
import stat

from tests.lab import image, lab
from tests.lab.client import Client
from tests.lab.image import wait_for
from tests.lab.lab import ADDRESSES, CLIENT_ADDRESS, Lab, claim, prune
from tests.lab.pair import ACTIVATE, VIP, Pair, pair_lab
from tests.vm import disks
from tests.vm.machine import Virtual
from tests.vm.network import Network
from tests.vm.watch import Watch

STORE = "192.168.77.1"
FLAVOUR, SET_UP = "vm", "pair-postgresql"
OPTIONS = {4: "vers=4.2,hard", 3: "vers=3,hard"}
SERVER_LEASE = """
printf '[nfsd]\\nlease-time=%d\\ngrace-time=%d\\n' "$0" "$0" >/etc/nfs.conf.d/tests.conf
systemctl restart nfs-server
"""
MOUNT = """
mkdir -p /HA
sed -i '\\, /HA nfs ,d' /etc/fstab
echo "$0" >>/etc/fstab
systemctl daemon-reload
mount /HA
"""
HOSTS_FILE = lab.HOSTS_FILE.format(download_server=image.DOWNLOAD_SERVER)
NODE = f"""
cat >/etc/hosts <<'END'
{HOSTS_FILE}END
echo '# no name server yet' >/etc/resolv.conf
echo DISTRIB_CODENAME=bookworm >/etc/lsb-release
"""
# Of a lab host's changes, those that are the machine's own or of no use on another.
OWN = ("HA", "etc/machine-id", "etc/network", "run", "tmp", "var/log/journal", "var/lib/systemd",
       "var/tmp")


class Rack(Lab):
    """Two nodes that have mounted the share of a store, and the client.

    `state` is "fresh" (nothing is set up), "pair" (both nodes are) or "active" (host1 is).
    `mounts` has the mount options of each node, or the NFS version of both; `lease` is that of the
    server, in seconds (nfsd's own is 90).
    """

    def __init__(self, state="fresh", mounts=4, lease=30):
        super().__init__(flavour=FLAVOUR)
        self.wanted, self.lease = state, lease
        self.mounts = mounts if isinstance(mounts, dict) else dict.fromkeys(ADDRESSES, mounts)
        self.pair = Pair(self, "postgresql")
        self.watch = None

    @property
    def active(self):
        """The node that answers at the VIP, or None."""
        name = self.client.holder(VIP)
        return next((node for node in self.nodes if node.name == name), None)

    @property
    def other(self):
        """The node that does not."""
        active = self.active
        return next(node for node in self.nodes if node is not active)

    def take_over(self, node):
        """Activate a node; on a slow processor, DNS or DHCP may be too late (exit 4)."""
        result = node.run(*self.pair.line(ACTIVATE, node))
        assert result.returncode in (0, 4), node.report(result)

    def clean_up(self, node):
        """Make a node that has booted again a standby; its status takes more than a second."""
        self.pair.deactivate(node)
        wait_for(lambda: node.run("python", "xcatha.py", "--status").returncode == 3, 300,
                 f"{node.name}: standby by its own status", 5)

    def power_up(self):
        """Lay the cables and bring the machines into their state."""
        self.key, self.kernel = disks.key(), disks.kernel(self.host_layer)
        self.cgroup = image.cgroup_root() / self.name
        self.network = Network(self.name)
        self.client = Client(self, CLIENT_ADDRESS)
        self.store = Virtual(self, "store", 1024, storage=f"{STORE}/24",
                             control="192.168.78.1/24")
        self.nodes = self.host1, self.host2 = [
            Virtual(self, name, 1536, cluster=f"{address}/8", storage=f"192.168.77.{number}/24",
                    control=f"192.168.78.{number}/24")
            for number, (name, address) in enumerate(ADDRESSES.items(), 2)]
        self.hosts = [self.store, *self.nodes]
        self.client.hosts = self.nodes
        self.watch = Watch(self)
        {"fresh": self.mount, "pair": self.set_up, "active": self.activate}[self.wanted]()

    def close(self):
        """Stop everything at once and remove every trace."""
        if self.watch:
            self.watch.stop()
        super().close()

    # ---- States ------------------------------------------------------------------------------

    def boot(self):
        """Let all three go on from where they were booted, which is done first if need be."""
        if not self.booted().exists():
            for machine in self.hosts:
                machine.insert(self.first_disks[machine.name])
                machine.power_on()
            for machine in self.hosts:
                machine.wait_up()
            self.save(self.booted())
        self.resume(self.booted())

    def mount(self):
        """Have both nodes mount the share, now and at each boot, as the README says."""
        self.boot()
        self.store.succeed("sh", "-ec", SERVER_LEASE, str(self.lease))
        for node in self.nodes:
            node.write("/root/xcatha.py", lab.PRODUCT.read_text())
            options = self.mounts[node.name]
            node.succeed("sh", "-ec", MOUNT, f"{STORE}:{disks.SHARE} /HA nfs "
                         f"{OPTIONS.get(options, options)},_netdev,nofail,retry=60 0 0")

    def set_up(self):
        """Make the nodes what those of the lab are after the present setup has run on both."""
        if not self.kept("pair").exists():
            source = pair_lab(flavour=FLAVOUR)
            state = source.state_directory(SET_UP)
            self.locks.append(claim(state, fcntl.LOCK_SH))
            self.mount()
            self.store.unpack(["tar", "-C", state / "share", "-cz", "."], disks.SHARE)
            for node in self.nodes:
                changed, renamed, removed = changes(state / node.name)
                node.succeed("sh", "-ec", 'cd / && rm -rf -- "$@"', "sh", *renamed, *removed)
                with self.showing(source.lowers(node.name)) as root:
                    node.unpack(["tar", "-C", root, "-cz", "--no-recursion", *changed,
                                 "--recursion", *renamed], "/")
                node.succeed("systemctl", "daemon-reload")
            self.save(self.kept("pair"))
        self.resume(self.kept("pair"), self.booted())

    def activate(self):
        """Have host1 activated by the present xcatha.py, which is done first if need be."""
        if not self.kept("active").exists():
            self.set_up()
            self.take_over(self.host1)
            self.save(self.kept("active"))
        self.resume(self.kept("active"), self.kept("pair"), self.booted())

    # ---- What is kept ------------------------------------------------------------------------

    @functools.cached_property
    def first_disks(self):
        """The disks that the machines boot from the first time, made if need be."""
        layers = [self.host_layer / "disk", self.base]
        made = {"store": disks.disk("store", layers, [f"{STORE}/24", "192.168.78.1/24"],
                                    disks.STORE_FSTAB, disks.STORE),
                "share": disks.empty("share")}
        for number, (name, address) in enumerate(ADDRESSES.items(), 2):
            made[name] = disks.disk(name, layers, [f"{address}/8", f"192.168.77.{number}/24",
                                                   f"192.168.78.{number}/24"], disks.FSTAB, NODE)
        for directory in made.values():
            self.keep(directory)
        found = {name: [directory / "disk.raw"] for name, directory in made.items()}
        return {**found, "store": found["store"] + found["share"]}

    def booted(self):
        """Where the booted machines are kept."""
        return self.place("booted", *(str(disk) for found in self.first_disks.values()
                                      for disk in found))

    def kept(self, state):
        """Where the machines of a state that depends on xcatha.py are kept."""
        source = Lab(SET_UP, flavour=FLAVOUR)
        source.base, source.host_layer = self.base, self.host_layer
        mounts = [str(self.mounts[name]) for name in ADDRESSES]
        return self.place(f"{state}-{image.digest(self.lease, *mounts)}", self.booted().name, MOUNT,
                          SERVER_LEASE, source.state_directory(SET_UP).name)

    def place(self, stem, *parts):
        """A directory that is named after what its contents depend on."""
        return image.cache() / "machines" / f"{stem}-{image.digest(*parts)}"

    def keep(self, directory):
        """Use a directory of the cache, and drop what earlier recipes made in its place."""
        self.locks.append(claim(directory, fcntl.LOCK_SH))
        prune(directory)

    def save(self, place):
        """Keep the machines as they are at this moment, and switch them off."""
        aside = self.directory / "saved"
        for machine in self.hosts:
            machine.pause()
        for machine in self.hosts:
            (aside / machine.name).mkdir(parents=True)
            machine.save(aside / machine.name)
        place.parent.mkdir(exist_ok=True)
        aside.rename(place)

    def resume(self, place, *below):
        """Let machines go on from where they were kept; `below` are the states that led there."""
        for directory in (place, *below):
            self.keep(directory)
        for machine in self.hosts:
            kept = place / machine.name
            machine.insert(sorted(kept.glob("disk*.qcow2")))
            machine.power_on(kept / "memory")
        for machine in self.hosts:
            machine.resume()
        for machine in self.hosts:
            machine.connect()

    @contextlib.contextmanager
    def showing(self, layers):
        """A directory that shows layers of the lab."""
        places = [self.directory / part for part in ("root", "upper", "work")]
        for place in places:
            place.mkdir()
        with image.overlay(places[0], layers, *places[1:]) as root:
            yield root
        for place in places:
            shutil.rmtree(place)


def changes(upper, top=""):
    """What a lab host changed on its disk, the directories that it renamed, what it removed."""
    changed, renamed, removed = [], [], []
    for entry in sorted(os.scandir(upper / top), key=lambda entry: entry.name):
        path = os.path.join(top, entry.name)
        status = entry.stat(follow_symlinks=False)
        if path in OWN:
            continue
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            removed.append(path)
        elif "trusted.overlay.redirect" in os.listxattr(entry.path, follow_symlinks=False):
            renamed.append(path)  # what it holds is in the layer below, under its old name
        else:
            changed.append(path)
            if entry.is_dir(follow_symlinks=False):
                for found, more in zip((changed, renamed, removed), changes(upper, path)):
                    found.extend(more)
    return changed, renamed, removed
