"""Hold a network namespace: its loopback up, with the addresses that are given, until killed.

    container_network.py ADDRESS...

It is run in a namespace of its own, which has no way out: what is listened on there, only its members see.
"""

import fcntl
import signal
import socket
import struct
import sys

SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFFLAGS = 0x8916, 0x891C, 0x8914
IFF_UP, IFF_RUNNING = 0x1, 0x40


def main(addresses: list[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP | IFF_RUNNING))
        for number, address in enumerate(addresses):
            name = f"lo:{number}".encode()
            for request, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, "255.255.255.255")):
                place = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
                fcntl.ioctl(control, request, struct.pack("16s16s8x", name, place))
    print("the network is up", flush=True)  # noqa: T201 # whoever started this waits for it
    signal.pause()


main(sys.argv[1:])
