"""Transactions: commit, abort, timeouts, what each isolation reads; fencing of zombies."""

from kafka.codec import has_lz4, has_snappy, has_zstd

from broker import make, markers_written, outcome, producer, send, until, values


def transactional(name, **settings):
    made = producer(transactional_id=f"kafka-python-{name}", **settings)
    made.init_transactions()
    return made


def both(what, topic, partition=0, is_open=False):
    if not is_open:
        markers_written(topic, partition)
    for isolation in ["read_committed", "read_uncommitted"]:
        print(what, isolation, values(topic, partition, isolation))


def transactions():
    topic = make("kafka-python-transactions", 3)
    there = [("gzip", True), ("snappy", has_snappy()), ("lz4", has_lz4()), ("zstd", has_zstd())]
    for codec in [None] + [name for name, have in there if have]:
        interleaved(topic, codec)
    both("interleaved", topic)
    one = transactional("three")
    print("outside", outcome(lambda: one.send(topic, b"x", partition=1)))
    print("begin", outcome(one.begin_transaction), "again", outcome(one.begin_transaction))
    for partition in range(1, 3):
        send(one, topic, [b"kept"], partition=partition)
    both("open", topic, 1, is_open=True)
    print("commit", outcome(one.commit_transaction), "again", outcome(one.commit_transaction))
    for partition in range(1, 3):
        both(f"committed {partition}", topic, partition)
    print("empty", outcome(one.begin_transaction), outcome(one.commit_transaction))
    print("empty", outcome(one.begin_transaction), outcome(one.abort_transaction))
    one.begin_transaction()
    # Not yet sent when it is taken back: the broker need not see it.
    one.send(topic, b"taken back", partition=1)
    print("abort", outcome(one.abort_transaction))
    print("committed", values(topic, 1))
    timeouts()


def interleaved(topic, codec):
    """Two transactions and a producer without, by turns in one partition."""
    plain = producer(enable_idempotence=True, compression_type=codec)
    one = transactional(f"one-{codec}", compression_type=codec)
    two = transactional(f"two-{codec}", compression_type=codec)
    for number in range(4):
        one.begin_transaction()
        two.begin_transaction()
        send(one, topic, [b"one %d %d" % (number, n) for n in range(3)], partition=0)
        send(two, topic, [b"two %d %d" % (number, n) for n in range(2)], partition=0)
        send(plain, topic, [b"plain %d" % number], partition=0)
        send(one, topic, [b"one more %d" % number], partition=0)
        one_ends = one.commit_transaction if number in (1, 2) else one.abort_transaction
        two_ends = two.commit_transaction if number in (1, 3) else two.abort_transaction
        print(codec, number, outcome(two_ends), outcome(one_ends))
    for each in (plain, one, two):
        each.close()


def timeouts():
    """The broker takes back what is open for too long, and its producer is told."""
    topic = make("kafka-python-transactions-late")
    print("too long", outcome(lambda: transactional("too-long", transaction_timeout_ms=900_001)))
    late = transactional("late", transaction_timeout_ms=8000)
    late.begin_transaction()
    send(late, topic, [b"late"], partition=0)
    send(producer(), topic, [b"behind it"], partition=0)
    both("late", topic, is_open=True)
    until("the broker to abort", lambda: values(topic) == ["behind it"])
    both("too late", topic)
    print("commit", outcome(late.commit_transaction))
    after = transactional("late")
    after.begin_transaction()
    send(after, topic, [b"after it"], partition=0)
    print("after it", outcome(after.commit_transaction))
    both("after it", topic)


def fencing():
    topic = make("kafka-python-fencing")
    # A zombie with an open transaction: it is taken back when the next comes.
    zombie = transactional("fencing")
    zombie.begin_transaction()
    send(zombie, topic, [b"zombie"], partition=0)
    owner = transactional("fencing")
    both("after the next came", topic)
    owner.begin_transaction()
    send(owner, topic, [b"owner 1"], partition=0)
    print("zombie's commit", outcome(zombie.commit_transaction))
    print("once more", outcome(zombie.commit_transaction), outcome(zombie.abort_transaction))
    print("owner's commit", outcome(owner.commit_transaction))
    # One that writes.
    zombie, owner = owner, transactional("fencing")
    zombie.begin_transaction()
    print("zombie writes", send(zombie, topic, [b"zombie writes"], partition=0))
    print("its end", outcome(zombie.abort_transaction))
    owner.begin_transaction()
    send(owner, topic, [b"owner 2"], partition=0)
    print("owner's commit", outcome(owner.commit_transaction))
    # One that begins and has written nothing.
    zombie, owner = owner, transactional("fencing")
    print("zombie begins", outcome(zombie.begin_transaction), outcome(zombie.commit_transaction))
    owner.begin_transaction()
    send(owner, topic, [b"owner 3"], partition=0)
    print("owner's abort", outcome(owner.abort_transaction))
    both("at the end", topic)


SCENARIOS = {"transactions": transactions, "fencing": fencing}
