"""The lab's power switch: what a host's fence agent asks to turn the other host off.

It hangs on the same network as the hosts: one whose cable is cut cannot reach it.
"""
import concurrent.futures
import contextlib
import ctypes
import socket
import threading
import time

PORT = 7000
CLONE_NEWNET = 0x40000000


def listen(namespace, port):
    """A listening socket in another network namespace, which a thread enters for it."""
    def enter_and_listen():
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{namespace}") as place:
            if libc.setns(place.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
        return socket.create_server(("", port))

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(enter_and_listen).result()


class PowerSwitch:
    """Turns hosts off on request, and remembers when; use it as a context manager."""

    def __init__(self, lab):
        self.hosts = {host.name: host for host in lab.hosts}
        self.socket = listen(lab.network.namespace("client"), PORT)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.power, self.asked_for, self.turned_off = threading.Lock(), [], []
        self.may_turn_off = threading.Event()
        self.may_turn_off.set()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()

    def serve(self):
        """Answer one request after the other until the socket is shut down."""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                with connection, connection.makefile("rw") as stream:
                    action, _, name = stream.readline().strip().partition(" ")
                    print(self.answer(action, name), file=stream)

    def answer(self, action, name):
        """Do what is asked; what to say."""
        if action == "monitor":
            return "ready"
        if action == "off":
            self.asked_for.append(name)
            self.may_turn_off.wait()
            self.turn_off(self.hosts[name])
        return "on" if self.hosts[name].pid else "off"

    @contextlib.contextmanager
    def held_back(self):
        """Within the block whoever is to be turned off has to wait for it."""
        self.may_turn_off.clear()
        try:
            yield
        finally:
            self.may_turn_off.set()

    def turn_off(self, host):
        """Take a host's power, if it has any."""
        with self.power:
            if host.pid:
                host.power_off()
            self.turned_off.append((host.name, time.time()))

    def turn_on(self, host):
        """Give a host its power back, if it has none, and wait until it is up."""
        with self.power:
            if not host.pid:
                host.power_on()
        host.wait_up()
