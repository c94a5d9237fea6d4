"""Asks for an address by DHCP every 20 ms and prints the time of each offer.

    python -m tests.bench.dhcp NIC MAC ADDRESS

An offer counts if it is for that address and from a server that has just been asked.
"""
import select
import socket
import sys
import time

from tests.lab.watch import INTERVAL

# BOOTP request over Ethernet with a broadcast answer (RFC 2131, 2), magic cookie, message type 1.
HEAD = bytes([1, 1, 6, 0])
BROADCAST = b"\x80\x00"
OPTIONS = bytes([99, 130, 83, 99, 53, 1, 1, 255])


def discover(number, mac):
    """The question, with this number."""
    return b"".join((HEAD, number.to_bytes(4, "big"), b"\0\0", BROADCAST, bytes(16),
                     bytes.fromhex(mac.replace(":", "")), bytes(10 + 64 + 128), OPTIONS))


def offered(reply):
    """The address in a server's reply, None for anything else."""
    return socket.inet_ntoa(reply[16:20]) if reply[:1] == b"\x02" else None


def main(nic, mac, address):
    """Ask for ever; print the time of each offer of the address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, nic.encode())
        client.bind(("", 68))
        for number in range(1 << 32):
            client.sendto(discover(number, mac), ("255.255.255.255", 67))
            due = time.time() + INTERVAL
            while select.select([client], [], [], max(0, due - time.time()))[0]:
                if offered(client.recv(1500)) == address:
                    print(f"[{time.time():.3f}]", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
