"""Batches of idempotent producers with chosen sequences, sent by hand: what a broker answers.

python sequences.py BOOTSTRAP TOPIC PHASE, with PHASE first or again (after a restart)
"""

import socket
import struct
import sys
import time

bootstrap, topic, phase = sys.argv[1:4]
LAST = 2**31 - 1
NAMES = {0: "NONE", 45: "OUT_OF_ORDER_SEQUENCE_NUMBER", 46: "DUPLICATE", 47: "INVALID_PRODUCER_EPOCH"}


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def batch(producer, epoch, sequence, count):
    now = int(time.time() * 1000)
    # length, attributes, timestamp delta, offset delta, no key, 1 byte, no headers
    records = b"".join(bytes([14, 0, 0, n * 2, 1, 2, 65, 0]) for n in range(count))
    body = struct.pack(">hiqqqhii", 0, count - 1, now, now, producer, epoch, sequence, count) + records
    checked = struct.pack(">iBI", -1, 2, crc32c(body)) + body
    return struct.pack(">qi", 0, len(checked)) + checked


class Connection:
    def __init__(self):
        host, port = bootstrap.split(":")
        self.socket = socket.create_connection((host, int(port)), 30)

    def read(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            assert part, "closed"
            data += part
        return data

    def produce(self, records):
        name = topic.encode()
        body = struct.pack(">hhih", 0, 3, 7, 4) + b"test" + struct.pack(">hhi", -1, -1, 30000)
        body += struct.pack(">ih", 1, len(name)) + name + struct.pack(">ii", 1, 0)
        body += struct.pack(">i", len(records)) + records
        self.socket.sendall(struct.pack(">i", len(body)) + body)
        answer = self.read(struct.unpack(">i", self.read(4))[0])
        at = 4 + 4 + 2 + len(name) + 4 + 4
        return struct.unpack(">hq", answer[at : at + 10])


connection = Connection()


def send(what, producer, epoch, sequence, count=1):
    error, offset = connection.produce(batch(producer, epoch, sequence, count))
    print(f"{what}: {NAMES.get(error, error)} at {offset}")


def first():
    for number in range(7):
        send(f"batch {number}", 1, 0, number * 2, 2)
    for number in range(7):
        send(f"batch {number} once more", 1, 0, number * 2, 2)
    send("longer than the last", 1, 0, 12, 3)
    send("half of the last", 1, 0, 12, 1)
    send("two batches as one", 1, 0, 10, 4)
    send("a gap", 1, 0, 15)
    send("unknown, from 500 on", 2, 0, 500)
    send("goes on", 2, 0, 501)
    send("to the last sequence", 3, 0, LAST - 1, 2)
    send("from 0 again", 3, 0, 0, 2)
    send("over the end", 4, 0, LAST, 3)
    send("behind it", 4, 0, 2)
    send("over the end once more", 4, 0, LAST, 3)
    send("epoch 1 from 3", 3, 1, 3)
    send("epoch 1 from 0", 3, 1, 0)
    send("epoch 0 is late", 3, 0, 2)
    send("epoch 0, what was there", 3, 0, 0, 2)
    send("epoch 5 from 0", 3, 5, 0)
    send("epoch 5, what epoch 1 wrote", 3, 5, 1)


def again():
    for number in range(7):
        send(f"batch {number} once more", 1, 0, number * 2, 2)
    send("older epoch", 3, 1, 1)
    send("goes on in its epoch", 3, 5, 2)
    send("unknown, goes on", 2, 0, 502)
    send("over the end, goes on", 4, 0, 3)
    send("next", 1, 0, 14)


{"first": first, "again": again}[phase]()
