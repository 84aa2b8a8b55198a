"""Members of a group: what each has, what each was told, and every record that they read."""

from broker import consumer, say, until


class Member:
    """One consumer. `told` has what its rebalance callbacks said: a word and how many partitions."""

    def __init__(self, group, topics, **settings):
        self.consumer, self.told, self.errors, self.read = consumer(group, **settings), [], [], []
        self.settings = settings
        self.consumer.subscribe(
            topics,
            on_assign=lambda _, partitions: self.hear("assigned", partitions),
            on_revoke=lambda _, partitions: self.hear("revoked", partitions),
            on_lost=lambda _, partitions: self.hear("lost", partitions),
        )

    def hear(self, word, partitions):
        self.told.append(f"{word} {len(partitions)}")

    def poll(self):
        message = self.consumer.poll(0.05)
        if message is None:
            return
        if message.error() is None:
            self.read.append((message.topic(), message.partition(), message.offset()))
        else:
            # librdkafka calls every deadly error the same; its text tells which.
            self.errors.append(message.error().str())

    def has(self):
        return {(place.topic, place.partition) for place in self.consumer.assignment()}


def settle(what, members, shares, records=None):
    """Polls all until they have these numbers of partitions, each partition once, and all was read.

    `records` is how many different ones all of `members` have read together.
    """

    def look():
        for member in members:
            member.poll()
        have = [member.has() for member in members]
        counts = sorted(map(len, have))
        alone = sum(counts) == len(set().union(*have))
        seen = {place for member in members for place in member.read}
        return alone and counts == sorted(shares) and (records is None or len(seen) == records)

    until(f"{what}: {shares}, {records} records", look)
    say(what, sorted(shares), "read", records)


def forget(members):
    for member in members:
        member.told.clear()
        member.read.clear()
