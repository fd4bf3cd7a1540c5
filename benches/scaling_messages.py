"""Counts the requests between the loop, the servers and the source of local jobs, from the packets on loopback. Requires Linux, root and
iproute2."""

import collections
import ctypes
import re
import socket
import struct
import subprocess
import threading
import time

ETH_P_IP = 0x0800
SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33  # linux/socket.h, asm-generic/socket.h
PACKET_OUTGOING = 4  # linux/if_packet.h: each packet on loopback is counted on its way in only
CLONE_NEWNET = 0x40000000  # linux/sched.h
HEAD = 1024  # bytes that are kept of a packet: IP and TCP headers, and the head of a request
BUFFER = 64 << 20  # bytes of packets that wait for this program

# Classic BPF: TCP over IPv4, and the payload begins with "GET " or "PUT ". Offsets count from the IP header (a SOCK_DGRAM socket).
FILTER = [
    (0x30, 0, 0, 9),  # A = protocol
    (0x15, 0, 9, 6),  # TCP?
    (0xB1, 0, 0, 0),  # X = length of the IP header
    (0x50, 0, 0, 12),  # A = the byte of the TCP header with its length in 32-bit words, high half
    (0x54, 0, 0, 0xF0),
    (0x74, 0, 0, 2),  # A = length of the TCP header
    (0x0C, 0, 0, 0),  # A += X
    (0x07, 0, 0, 0),  # X = A
    (0x40, 0, 0, 0),  # A = the first four bytes of the payload
    (0x15, 2, 0, 0x47455420),  # "GET "
    (0x15, 1, 0, 0x50555420),  # "PUT "
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, HEAD),  # keep
]

KINDS = [
    ("block", re.compile(rb"GET /v1/block")),
    ("wait", re.compile(rb"GET /v1/progress\?milestone")),
    ("progress", re.compile(rb"GET /v1/progress")),
    ("digests", re.compile(rb"(GET|PUT) /v1/digests")),
    ("assignment", re.compile(rb"PUT /v1/assignment")),
    ("frame", re.compile(rb"GET /[0-9]+\.png")),
]
CONTROL = ("wait", "progress", "digests", "assignment")
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def attach_filter(sock):
    code = b"".join(struct.pack("HBBI", *line) for line in FILTER)
    keep = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(FILTER), ctypes.addressof(keep)))


def isolate():
    """Moves this thread and its later children into a network namespace of their own, whose loopback no other program uses."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class Messages:
    """Counts requests by kind while the context is open. `bodies` has the bytes of the bodies of assignments."""

    def __init__(self):
        self.counts, self.bodies, self.over = collections.Counter(), [], threading.Event()

    def __enter__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        attach_filter(self.socket)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        self.socket.bind(("lo", ETH_P_IP))
        self.socket.settimeout(0.2)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        time.sleep(0.3)  # packets that have not been read yet
        self.over.set()
        self.thread.join()
        self.socket.close()

    def read(self):
        while not self.over.is_set():
            try:
                packet, address = self.socket.recvfrom(HEAD)
            except TimeoutError:
                continue
            if address[2] != PACKET_OUTGOING:
                self.add(packet)

    def add(self, packet):
        ip = (packet[0] & 15) * 4
        head = packet[ip + (packet[ip + 12] >> 4) * 4 :]
        kind = next((name for name, pattern in KINDS if pattern.match(head)), None)
        if kind is None:
            return
        self.counts[kind] += 1
        length = LENGTH.search(head)
        if kind == "assignment" and length:
            self.bodies.append(int(length.group(1)))

    def control(self):
        return sum(self.counts[kind] for kind in CONTROL)
