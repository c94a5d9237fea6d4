"""Prints when an address is announced on a NIC: python -m tests.bench.announcements NIC ADDRESS

A line of [TIME] request|reply MAC for each ARP frame that somebody sends about itself.
"""
import socket
import sys
import time

ARP = 0x0806
FORMS = {1: "request", 2: "reply"}


def main(nic, address):
    """Listen for ever."""
    wanted = socket.inet_aton(address)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ARP)) as wire:
        wire.bind((nic, ARP))
        while True:
            frame = wire.recv(100)  # Ethernet's 14 bytes, then ARP's fields (RFC 826)
            form, mac, sender, target = frame[20:22], frame[22:28], frame[28:32], frame[38:42]
            if sender == target == wanted:
                print(f"[{time.time():.6f}] {FORMS[form[1]]} {mac.hex(':')}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
