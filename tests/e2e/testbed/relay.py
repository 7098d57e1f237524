"""A wire with a bad day: forwards frames between two devices, late and not all of them.

    python relay.py DEVICE DEVICE DELAY_SECONDS JITTER_SECONDS LOSS_FRACTION

For kernels without the netem queueing discipline, and the same everywhere. Frames travel with the
kernel's virtio header (packet(7), PACKET_VNET_HDR), so that checksums that are not computed yet, and
segments that are not cut yet, cross as they are.
"""

from __future__ import annotations

import heapq
import random
import select
import socket
import sys
import time

_ALL_PROTOCOLS = 0x0300  # ETH_P_ALL in network order
_SOL_PACKET = 263
_PACKET_VNET_HDR = 15
_LARGEST = 10 + 14 + 65536


def relay(first: str, second: str, delay: float, jitter: float, loss: float) -> None:
    """Forward until killed. Frames keep their order in each direction."""
    one, two = _open(first), _open(second)
    across = {one: two, two: one}
    due = {one: 0.0, two: 0.0}
    waiting: list[tuple[float, int, socket.socket, bytes]] = []
    chance = random.Random(1)  # the same losses in every run
    count = 0
    while True:
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([one, two], [], [], pause)
        for source in ready:
            frame, address = source.recvfrom(_LARGEST)
            if address[2] == socket.PACKET_OUTGOING or chance.random() < loss:
                continue
            when = time.monotonic() + delay + chance.uniform(-jitter, jitter)
            due[source] = max(due[source], when)
            count += 1
            heapq.heappush(waiting, (due[source], count, across[source], frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, target, frame = heapq.heappop(waiting)
            try:
                target.send(frame)
            except OSError:  # the device is down: the frame is lost, as on any wire
                continue


def _open(device: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    opened.bind((device, socket.ntohs(_ALL_PROTOCOLS)))
    return opened


if __name__ == "__main__":
    relay(sys.argv[1], sys.argv[2], *(float(argument) for argument in sys.argv[3:6]))
