"""The first process of a node on fakes, started in namespaces of its own (see node.py).

It makes the node's file system, starts the server of the stand-ins, says its process ID, and then
reaps orphans until its standard input closes: so nothing of a node outlives the tests, however they
end.
"""

import os
import signal
import socket
import subprocess
import sys
import uuid

sys.path.insert(0, os.path.dirname(__file__))

import command  # noqa: E402
import supervisor  # noqa: E402, F401 (once for all stand-ins, which are forks of this process)


def mount(*argv):
    subprocess.run(["mount", *argv], check=True)


def make_file_system(home):
    """A private view of this machine below the node's own files, with its own /proc and /run."""
    root = home + "/root"
    layers = f"lowerdir=/,upperdir={home}/upper,workdir={home}/work"
    mount("-t", "overlay", "overlay", "-o", layers, root)
    mount("-t", "proc", "proc", root + "/proc")
    mount("-t", "sysfs", "sysfs", root + "/sys")
    mount("--rbind", "/dev", root + "/dev")
    mount("-t", "tmpfs", "tmpfs", root + "/run")
    mount("--bind", home + "/share", root + "/HA")
    with open(root + "/run/boot_id", "w") as file:  # a boot of its own, as each machine has
        file.write(str(uuid.uuid4()) + "\n")
    mount("--bind", root + "/run/boot_id", root + "/proc/sys/kernel/random/boot_id")
    show_interpreters(root)
    os.makedirs(root + "/run/systemd/system")
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "mnt"], check=True)
    os.chroot(".")
    subprocess.run(["umount", "-l", "/mnt"], check=True)


def show_interpreters(root):
    """The node has this machine's other interpreters too, where pyenv keeps them below /root."""
    pyenv = os.environ.get("PYENV_ROOT", "/root/.pyenv")
    if os.path.isdir(pyenv):
        os.makedirs(root + pyenv, exist_ok=True)
        mount("--bind", pyenv, root + pyenv)


def start_server():
    """Let a process of its own do the stand-ins' part."""
    listener = command.listen()
    if os.fork() == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout.reconfigure(encoding="utf-8")
        command.serve(listener)
    listener.close()


def reap(*_):
    """Collect every process that has ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def main():
    outer_pid = os.readlink("/proc/self")
    make_file_system(sys.argv[1])
    socket.sethostname(sys.argv[2])
    start_server()
    signal.signal(signal.SIGCHLD, reap)
    print(outer_pid, flush=True)
    sys.stdin.read()


main()
