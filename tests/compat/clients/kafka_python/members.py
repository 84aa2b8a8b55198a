"""Members of a group: what each has, what each was told, and every record that it read."""

import threading
import time

from kafka import ConsumerRebalanceListener, OffsetAndMetadata

from broker import PATIENCE_S, consumer, until


class Listener(ConsumerRebalanceListener):
    """Keeps what a member is told, where anything changes: a word and how many partitions."""

    def __init__(self, told):
        self.told = told

    def on_partitions_assigned(self, assigned):
        self.hear("assigned", assigned)

    def on_partitions_revoked(self, revoked):
        self.hear("revoked", revoked)

    def on_partitions_lost(self, lost):
        self.hear("lost", lost)

    def hear(self, word, partitions):
        if partitions:
            self.told.append(f"{word} {len(partitions)}")


class Member(threading.Thread):
    """A consumer that polls in a thread of its own, as applications do, until it is to leave.

    Polled in turn by one thread, members keep each other waiting through every step of a rebalance.
    """

    def __init__(self, group, topics, **settings):
        super().__init__(daemon=True)
        self.group, self.settings = group, settings
        self.told, self.read, self.failed, self.refused, self.owned = [], [], None, None, set()
        self.leaving, self.asked, self.answered = threading.Event(), None, threading.Event()
        self.consumer = consumer(group, **settings)
        self.consumer.subscribe(topics, listener=Listener(self.told))
        self.start()

    def run(self):
        try:
            while not self.leaving.is_set():
                for records in self.consumer.poll(timeout_ms=50).values():
                    self.read.extend((each.topic, each.partition, each.offset) for each in records)
                self.owned = {(at.topic, at.partition) for at in self.consumer.assignment()}
                if self.asked is not None:
                    self.answer()
            self.consumer.close()
        except Exception as error:
            self.failed = error
            self.answered.set()

    def answer(self):
        try:
            self.asked()
            self.refused = None
        except Exception as error:
            self.refused = error
        self.asked = None
        self.answered.set()

    def has(self):
        return self.owned

    def ask(self, what):
        """Has the member's own thread do something with its consumer."""
        self.answered.clear()
        self.asked = what
        assert self.answered.wait(PATIENCE_S), "a member does not answer"
        if (failed := self.failed or self.refused) is not None:
            raise failed

    def commit(self, metadata=""):
        def commit():
            places = self.consumer.assignment()
            at = {place: OffsetAndMetadata(self.consumer.position(place), metadata, -1) for place in places}
            self.consumer.commit(at)

        self.ask(commit)

    def leave(self):
        self.leaving.set()
        self.join(PATIENCE_S)
        assert not self.is_alive(), "a member does not leave"
        if self.failed is not None:
            raise self.failed


def settle(what, members, shares, records=None):
    """Waits until the members have these numbers of partitions, each partition once, and all was read.

    `records` is how many different ones all of `members` have read together.
    """

    def look():
        for member in members:
            if member.failed is not None:
                raise member.failed
        time.sleep(0.02)
        have = [member.has() for member in members]
        counts = sorted(map(len, have))
        alone = sum(counts) == len(set().union(*have))
        seen = {place for member in members for place in list(member.read)}
        return alone and counts == sorted(shares) and (records is None or len(seen) == records)

    def state():
        return [(len(member.has()), len(member.read), member.told, member.failed) for member in members]

    until(lambda: f"{what}: {shares}, {records} records; have {state()}", look)
    print(what, sorted(shares), "read", records)


def forget(members):
    for member in members:
        member.told.clear()
        member.read.clear()
