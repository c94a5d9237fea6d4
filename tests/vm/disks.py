"""The disks of the virtual machines: file systems made from the layers of the lab's hosts.

They are kept in the lab's cache under a name that hashes what they are made from.
"""
import pathlib
import shutil

from tests.lab import image
from tests.lab.image import command

HERE = pathlib.Path(__file__).parent
SHARE = "/srv/share"
EXPORT = "192.168.77.0/24(rw,sync,no_root_squash,no_subtree_check)"

INTERFACE = """
auto {nic}
iface {nic} inet static
    address {address}
"""
# systemd would give up after 90 s, which is too soon for an emulated processor on a busy machine.
PATIENT = "errors=panic,x-systemd.device-timeout=1800 0 0"
FSTAB = f"/dev/vda / ext4 {PATIENT}\n"
STORE_FSTAB = f"{FSTAB}/dev/vdb {SHARE} ext4 {PATIENT}\n"
# Root's own directories belong to the product's test: the key lies elsewhere.
SSHD = """\
AuthorizedKeysFile /etc/ssh/tests.pub
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM no
UseDNS no
MaxSessions 100
"""
AGENT_UNIT = """\
[Unit]
Description=Tells the tests what runs here, once a second
DefaultDependencies=no
After=systemd-remount-fs.service

[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/agent.py
Restart=always

[Install]
WantedBy=sysinit.target
"""
STORE = f"""
systemctl enable nfs-server
systemctl disable apache2
mkdir -p {SHARE}
echo '{SHARE} {EXPORT}' >/etc/exports
"""
# What costs seconds of an emulated processor at each boot and is of no use here.
MASKED = """
    ifupdown-pre kmod-static-nodes modprobe@configfs modprobe@dm_mod modprobe@drm
    modprobe@efi_pstore modprobe@fuse modprobe@loop nfs-blkmap serial-getty@ttyS0 systemd-binfmt
    systemd-logind systemd-update-utmp systemd-update-utmp-runlevel
""".split()
FEWER_DEVICES = """\
[Service]
ExecStart=
ExecStart=udevadm trigger --action=add --subsystem-match=block --subsystem-match=net
"""


def key():
    """The key with which tests log in, made once; the public half is next to it."""
    file = image.cache() / "vm-key"
    if not file.exists():
        command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", file)
    return file


def kernel(layer):
    """(kernel, initial file system) of the image."""
    boot = layer / "disk/boot"
    return max(boot.glob("vmlinuz-*")), max(boot.glob("initrd.img-*"))


def disk(name, layers, addresses, fstab, script):
    """The disk of a machine: what the layers show, and who it is; `script` does the rest.

    `addresses` has the address of each interface.
    """
    interfaces = "auto lo\niface lo inet loopback\n" + "".join(
        INTERFACE.format(nic=f"eth{number}", address=address)
        for number, address in enumerate(addresses))
    files = {
        "fstab": fstab, "hostname": f"{name}\n", "machine-id": image.digest(name).ljust(32, "0"),
        "network/interfaces": interfaces, "ssh/sshd_config": SSHD,
        "ssh/tests.pub": key().with_suffix(".pub").read_text(),
        "systemd/system/agent.service": AGENT_UNIT,
        "systemd/system/systemd-udev-trigger.service.d/tests.conf": FEWER_DEVICES}
    agent = HERE / "agent.py"
    parts = [*map(str, layers), *files.values(), script, *MASKED, agent]

    def fill(directory):
        for part in ("root", "upper", "work"):
            (directory / part).mkdir()
        with image.overlay(directory / "root", layers, directory / "upper",
                           directory / "work") as root:
            for path, text in files.items():
                (root / "etc" / path).parent.mkdir(exist_ok=True)
                (root / "etc" / path).write_text(text)
            shutil.copy(agent, root / "usr/local/lib/agent.py")
            command("chroot", root, "systemctl", "enable", "agent.service")
            command("chroot", root, "systemctl", "mask", *(f"{unit}.service" for unit in MASKED))
            command("chroot", root, "sh", "-ec", script)
            file_system(directory / "disk.raw", root)
        for part in ("root", "upper", "work"):
            shutil.rmtree(directory / part)

    return image.stored(image.cache() / "disks" / f"{name}-{image.digest(*parts)}", fill)


def empty(name):
    """An empty disk."""
    def fill(directory):
        (directory / "empty").mkdir()
        file_system(directory / "disk.raw", directory / "empty")

    version = image.digest(file_system.__doc__)
    return image.stored(image.cache() / "disks" / f"{name}-{version}", fill)


def file_system(file, top):
    """An ext4 file system of 4 GB with a copy of the directory `top`."""
    command("mkfs.ext4", "-q", "-N", "200000", "-E", "lazy_itable_init=0,lazy_journal_init=0",
            "-d", top, file, "4G")
