"""A virtual machine under qemu, and what tests do with it."""
import contextlib
import functools
import json
import os
import shlex
import signal
import socket
import subprocess
import tempfile
import time

from tests.lab import host
from tests.lab.image import command, in_cgroup, wait_for
from tests.lab.network import mac

SSH = ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
       "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20",
       # A paused machine keeps its connection; one that has booted anew resets it.
       "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=1000"]
TCG = ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"]
KERNEL_LINE = ("root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 mitigations=off nokaslr "
               "tsc=unstable systemd.default_timeout_start_sec=1800")
BOOT = 900  # seconds; emulated, on a machine that does other things too


@functools.lru_cache(maxsize=None)
def acceleration(kernel, initrd):
    """The options for the processor: KVM where a kernel really boots with it, else emulation."""
    kvm = ["-accel", "kvm", "-cpu", "host"]
    with tempfile.NamedTemporaryFile("r") as serial:
        qemu = subprocess.Popen(
            ["qemu-system-x86_64", *kvm, "-machine", "q35", "-m", "512", "-nodefaults",
             "-no-user-config", "-display", "none", "-serial", f"file:{serial.name}",
             "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: qemu.poll() is not None or "Run /init" in serial.read(), 20, "KVM",
                     0.5)
            return TCG if qemu.poll() is not None else kvm
        except TimeoutError:
            return TCG
        finally:
            qemu.kill()
            qemu.wait()


class Virtual(host.Machine):
    """A machine with a kernel of its own: `nets` maps the names of its networks to addresses."""

    share_at = "/HA"

    def __init__(self, rack, name, memory, **nets):
        self.name, self.rack, self.nets, self.memory = name, rack, nets, memory
        self.address = self.without_prefix("cluster" if "cluster" in nets else "storage")
        self.directory = rack.directory / name
        self.directory.mkdir()
        self.cgroup = rack.cgroup / name
        self.cgroup.mkdir(parents=True)
        self.disks = []
        self.ports = {net: rack.network.tap(name, net) for net in nets}
        self.qemu = self.master = None

    def insert(self, disks):
        """Give the machine disks of its own, over those that are kept."""
        self.disks = [self.directory / f"disk{number}.qcow2" for number, _ in enumerate(disks)]
        for disk, below in zip(self.disks, disks):
            command("qemu-img", "create", "-q", "-f", "qcow2", "-F", below.suffix[1:], "-b", below,
                    disk)

    # ---- Power -------------------------------------------------------------------------------

    def boot(self):
        """Power the machine on and wait until systemd has started everything."""
        self.power_on()
        self.wait_up()

    def power_on(self, memory=None):
        """Start the machine: it boots, or it is paused with the memory that `save` has kept."""
        assert not self.qemu, f"{self.name} is powered on already"
        options = self.options() + (["-incoming", f"exec:cat {memory}"] if memory else [])
        qemu = self.rack.network.inside("qemu-system-x86_64", *options)
        with open(self.directory / "qemu.log", "a") as log:
            self.qemu = subprocess.Popen(in_cgroup(self.cgroup, *qemu), stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log, start_new_session=True)
        wait_for(self.takes_orders, 120, f"{self.name}: qemu", 0.1)

    def takes_orders(self):
        """True once qemu listens and has read its memory."""
        if self.qemu.poll() is not None:
            raise RuntimeError((self.directory / "qemu.log").read_text())
        return attempt(lambda: self.monitor("query-status")["status"] != "inmigrate")

    def save(self, directory):
        """Keep the disks and the memory of a paused machine; ends it."""
        self.monitor("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.monitor("migrate", uri=f"exec:cat >{directory}/memory")
        wait_for(lambda: self.monitor("query-migrate").get("status") == "completed", 300,
                 f"{self.name}: copy of its memory", 0.2)
        self.power_off()
        for disk in self.disks:
            disk.rename(directory / disk.name)

    def options(self):
        """The command line of qemu, without its name."""
        kernel, initrd = self.rack.kernel
        found = ["-name", self.name, "-machine", "q35", *acceleration(kernel, initrd), "-smp", "1",
                 "-m", str(self.memory), "-nodefaults", "-no-user-config", "-display", "none",
                 "-chardev", f"file,id=serial,append=on,path={self.directory}/console.log",
                 "-serial", "chardev:serial", "-device", "virtio-rng-pci",
                 "-qmp", f"unix:{self.directory}/qmp,server=on,wait=off",
                 "-kernel", kernel, "-initrd", initrd, "-append", KERNEL_LINE]
        for disk in self.disks:
            # What the guest has flushed survives the end of qemu, and that is all it must survive.
            found += ["-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe"]
        for net, port in self.ports.items():
            found += ["-netdev", f"tap,id={net},ifname={port},script=no,downscript=no",
                      "-device",
                      f"virtio-net-pci,netdev={net},romfile=,mac={mac(self.without_prefix(net))}"]
        return found

    def without_prefix(self, net):
        """The machine's address in a network."""
        return self.nets[net].partition("/")[0]

    def power_off(self):
        """Pull the plug: what was not flushed to a disk is lost, the page cache included."""
        self.disconnect()
        if self.qemu:
            os.kill(self.qemu.pid, signal.SIGKILL)
            self.qemu.wait()
            self.qemu = None

    kill = power_off

    def shutdown(self, timeout=300):
        """Shut down in order."""
        self.run("systemctl", "poweroff")
        self.qemu.wait(timeout)
        self.power_off()

    def wait_up(self, timeout=BOOT):
        """Wait until systemd has started what starts at boot."""
        def up():
            if not self.is_connected():
                return False
            state = self.run("systemctl", "is-system-running").stdout.strip()
            return state in ("running", "degraded")
        wait_for(lambda: attempt(up), timeout, f"{self.name}: boot", 2)

    def boot_id(self):
        """Another one after each boot."""
        return self.succeed("cat", "/proc/sys/kernel/random/boot_id").strip()

    def console(self):
        """What the machine has written to its serial console."""
        return (self.directory / "console.log").read_text(errors="replace")

    def pause(self):
        """Stop the machine as a hypervisor does: no instruction runs, no packet is answered."""
        self.monitor("stop")

    def resume(self):
        """Let a paused machine go on."""
        self.monitor("cont")

    def monitor(self, order, **arguments):
        """Give an order to qemu; its answer."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(60)
            monitor.connect(str(self.directory / "qmp"))
            with monitor.makefile("rw") as lines:
                lines.readline()
                for line in ({"execute": "qmp_capabilities"},
                             {"execute": order, "arguments": arguments}):
                    lines.write(json.dumps(line))
                    lines.flush()
                    answer = {}
                    while "return" not in answer:
                        answer = json.loads(lines.readline())
                        assert "error" not in answer, answer
                return answer["return"]

    # ---- Networks ----------------------------------------------------------------------------

    def cut(self, net):
        """Pull the cable of one network."""
        self.rack.network.set_cable(self.ports[net], "down")

    def heal(self, net):
        """Put the cable of one network back."""
        self.rack.network.set_cable(self.ports[net], "up")

    # ---- Commands ----------------------------------------------------------------------------

    def ssh(self, *options):
        """The command that reaches the machine over the control network."""
        return self.rack.network.inside("ssh", *SSH, "-i", self.rack.key, "-S",
                                        self.directory / "ssh", *options,
                                        f"root@{self.without_prefix('control')}")

    def connect(self, timeout=300):
        """Make the connection that all commands go over, unless it is there."""
        wait_for(lambda: attempt(self.is_connected), timeout, f"{self.name}: ssh", 1)

    def is_connected(self):
        """True once the connection is there; one try."""
        if self.master and self.master.poll() is None:
            return True
        self.disconnect()
        self.master = subprocess.Popen(
            in_cgroup(self.cgroup, *self.ssh("-M", "-N")), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for(lambda: (self.directory / "ssh").exists() or self.master.poll() is not None, 60,
                 f"{self.name}: ssh", 0.1)
        return self.master.poll() is None

    def disconnect(self):
        """End the connection."""
        if self.master:
            self.master.kill()
            self.master.wait()
            self.master = None
        with contextlib.suppress(FileNotFoundError):
            (self.directory / "ssh").unlink()

    def popen(self, *argv, env=None, **options):
        """Start a command on the machine; both outputs are pipes unless told."""
        self.connect()
        words = ["cd", "/root", "&&", "exec", "env", "-i"]
        line = " ".join([*words, *(shlex.quote(f"{name}={value}") for name, value in
                                   {**host.ENVIRONMENT, **(env or {})}.items()),
                         *map(shlex.quote, map(str, argv))])
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, **options}
        return host.Process(in_cgroup(self.cgroup, *self.ssh(), line), text=True,
                            errors="replace", start_new_session=True, **options)

    def run(self, *argv, timeout=900, **options):
        """As on the lab, with limits for an emulated processor."""
        return super().run(*argv, timeout=timeout, **options)

    def wait_until(self, *argv, timeout=300):
        """Repeat a command until it exits 0."""
        wait_for(lambda: self.run(*argv).returncode == 0, timeout,
                 f"{self.name}: {' '.join(map(str, argv))}", 1)

    def unpack(self, tar, where):
        """Unpack on the machine what a `tar -cz` of this one writes; decryption is what is slow."""
        with subprocess.Popen(list(map(str, tar)), stdout=subprocess.PIPE) as source:
            command(*self.ssh(), f"tar -C {where} -xz", stdin=source.stdout, timeout=900)
        assert source.returncode == 0, tar

    def write(self, path, text):
        """Put a text into a file."""
        self.succeed("sh", "-c", 'cat >"$0"', path, input=text)


def attempt(action):
    """What `action()` returns, or False while the machine cannot be reached."""
    try:
        return action()
    except (OSError, subprocess.TimeoutExpired):
        return False


def lasted(since):
    """Seconds since a moment of time.monotonic(), for a table."""
    return round(time.monotonic() - since, 1)
