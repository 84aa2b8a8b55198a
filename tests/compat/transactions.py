"""Transactions of every kind into partition 0, and what a consumer sees of them.

python transactions.py write BOOTSTRAP TOPIC
python transactions.py keyed BOOTSTRAP TOPIC
python transactions.py keyed-plain BOOTSTRAP TOPIC
python transactions.py load BOOTSTRAP TOPIC
python transactions.py read BOOTSTRAP TOPIC ISOLATION
"""

import os
import random
import sys
import zlib

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

mode, bootstrap, topic = sys.argv[1:4]
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def producer(codec, **more):
    settings = {"bootstrap.servers": bootstrap, "linger.ms": 0, "compression.type": codec}
    return Producer({**settings, "transaction.timeout.ms": 600000, **more})


def transactional(name, codec):
    made = producer(codec, **{"transactional.id": f"{name}-{codec}"})
    made.init_transactions(60)
    return made


def send(through, values):
    for value in values:
        through.produce(topic, value=value * 20, key=value[:4], partition=0)
    through.flush()


def write():
    for codec in CODECS:
        plain = producer(codec, **{"enable.idempotence": True})
        one, two = transactional("one", codec), transactional("two", codec)
        for number in range(4):
            one.begin_transaction()
            two.begin_transaction()
            send(one, [f"one {codec} {number} {n}" for n in range(3)])
            send(two, [f"two {codec} {number} {n}" for n in range(2)])
            send(plain, [f"plain {codec} {number}"])
            send(one, [f"one more {codec} {number}"])
            if number % 2:
                one.abort_transaction()
                two.commit_transaction()
            else:
                two.abort_transaction()
                one.commit_transaction() if number else one.abort_transaction()
    left = transactional("left", "none")
    left.begin_transaction()
    send(left, ["never decided"])
    send(producer("none"), ["behind it"])
    sys.stdout.flush()
    # Without the client's end, which would abort what is open.
    os._exit(0)


def some(through, numbers, count):
    """Records of few keys, some of them tombstones."""
    for _ in range(count):
        key = f"k{numbers.randrange(150)}"
        value = numbers.randbytes(20000) if numbers.randrange(5) else None
        through.produce(topic, value=value, key=key, partition=0)
    through.flush()


def keyed(transactions=True):
    """Such records of idempotent producers, between transactions if there are any."""
    numbers = random.Random(transactions)
    plain = [producer(codec, **{"enable.idempotence": True, "linger.ms": 5}) for codec in CODECS]
    through = [transactional("keyed", codec) for codec in CODECS if transactions]
    for number in range(60):
        at = number % len(CODECS)
        if not transactions:
            some(plain[at], numbers, 6)
            continue
        to = through[at]
        to.begin_transaction()
        some(to, numbers, 5)
        some(plain[at], numbers, 5)
        some(to, numbers, 1)
        to.commit_transaction() if number % 3 else to.abort_transaction()


def load():
    through = [producer(codec, **{"linger.ms": 5}) for codec in CODECS]
    number = 0
    print("loading", flush=True)
    while True:
        to = through[number % len(CODECS)]
        try:
            to.produce(topic, value=f"load {number} " + "x" * (number % 700), partition=0)
            to.poll(0)
            number += 1
        except BufferError:
            to.poll(0.01)


def read():
    settings = {"bootstrap.servers": bootstrap, "group.id": "reads", "check.crcs": True}
    consumer = Consumer({**settings, "isolation.level": sys.argv[4], "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    while True:
        message = consumer.poll(60)
        assert message is not None, "no answer"
        error = message.error()
        if error and error.code() == KafkaError._PARTITION_EOF:
            print("end", message.offset())
            break
        assert not error, error
        at = (message.offset(), message.leader_epoch(), *message.timestamp())
        value = message.value()
        print(*at, message.key(), value if value is None else zlib.crc32(value))
    consumer.close()


modes = {"write": write, "keyed": keyed, "load": load, "read": read}
modes["keyed-plain"] = lambda: keyed(transactions=False)
modes[mode]()
