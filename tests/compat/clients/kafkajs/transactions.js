// Transactions: commit and abort, who sees what, zombies, and exactly once.
'use strict'

const { numbered, refusal, say, short, until } = require('./run')

const transactional = (run, id) =>
  run.producer({ transactionalId: run.name(id), idempotent: true, maxInFlightRequests: 1 })

// What both kinds of readers see now.
async function seen(run, ...topics) {
  for (const topic of topics) {
    const [committed, all] = await Promise.all([run.values(topic), run.values(topic, { readUncommitted: true })])
    const { high } = (await run.admin.fetchTopicOffsets(topic)).find(({ partition }) => partition === 0)
    say(`  ${run.plain(topic)}: committed ${short(committed)}; all ${short(all)}; 0 is stable up to ${high}`)
  }
}

async function transactions(run) {
  const [one, two] = [await run.topic('one', 2), await run.topic('two', 1)]
  const producer = await transactional(run, 'id')
  const both = async (from, to) => {
    const transaction = await producer.transaction()
    const topicMessages = [
      { topic: one, messages: numbered(2, from, to) },
      { topic: two, messages: numbered(1, from, to) },
    ]
    await transaction.sendBatch({ topicMessages })
    return transaction
  }
  let transaction = await both(0, 5)
  say('open')
  await seen(run, one, two)
  await transaction.commit()
  say('committed')
  await seen(run, one, two)
  transaction = await both(5, 10)
  await transaction.abort()
  say('aborted')
  await seen(run, one, two)
  say(`used after its end: ${await refusal(transaction.send({ topic: one, messages: numbered(2, 0, 1) }))}`)
  transaction = await producer.transaction()
  await transaction.send({ topic: one, messages: numbered(2, 10, 12) })
  await transaction.commit()
  say('committed')
  await seen(run, one, two)

  // Somebody else's messages go by an open transaction, but nobody sees them before its end.
  transaction = await producer.transaction()
  await transaction.send({ topic: two, messages: numbered(1, 20, 22) })
  await run.write(two, numbered(1, 30, 32))
  say('others write beside an open one')
  await seen(run, two)
  await transaction.abort()
  say('aborted')
  await seen(run, two)
  await (await producer.transaction()).commit()
  say('an empty one')

  const killed = run.start('open', { transactionalId: run.name('killed'), topic: two, messages: numbered(1, 40, 43) })
  await until('a transaction of another process', () => killed.ready)
  await killed.kill()
  say('its producer is killed')
  await seen(run, two)
  const next = await transactional(run, 'killed')
  transaction = await next.transaction()
  say('the next of that id starts')
  await seen(run, two)
  await transaction.send({ topic: two, messages: numbered(1, 50, 53) })
  await transaction.commit()
  await seen(run, two)

  // Offsets are part of a transaction, or none of it.
  const groupId = run.name('group')
  const topics = (offset) => [{ topic: two, partitions: [{ partition: 0, offset }] }]
  for (const [offset, end] of [['3', 'commit'], ['9', 'abort']]) {
    transaction = await producer.transaction()
    await transaction.sendOffsets({ consumerGroupId: groupId, topics: topics(offset) })
    await transaction[end]()
    await until('the offsets', async () => (await run.committed(groupId, two)) === 3)
    say(`offsets after ${end}: ${await run.committed(groupId, two)}`)
  }
}

async function fencing(run) {
  const topic = await run.topic('topic', 1)
  const groupId = run.name('group')
  const deeds = {
    writes: (transaction) => transaction.send({ topic, messages: numbered(1, 2, 3) }),
    commits: (transaction) => transaction.commit(),
    aborts: (transaction) => transaction.abort(),
    'commits offsets': (transaction) =>
      transaction.sendOffsets({ consumerGroupId: groupId, topics: [{ topic, partitions: [{ partition: 0, offset: '1' }] }] }),
  }
  for (const [what, deed] of Object.entries(deeds)) {
    const [first, second] = [await transactional(run, what), await transactional(run, what)]
    const old = await first.transaction()
    await old.send({ topic, messages: numbered(1, 0, 2) })
    // The second start ends what the first has open.
    const transaction = await second.transaction()
    say(`the zombie ${what}: ${await refusal(deed(old))}`)
    await transaction.send({ topic, messages: numbered(1, 10, 12) })
    await transaction.commit()
    await first.disconnect()
    await second.disconnect()
    await seen(run, topic)
  }
  say(`offsets: ${await run.committed(groupId, topic)}`)
}

async function transform(run) {
  const [from, to, groupId] = [await run.topic('from', 3), await run.topic('to', 2), run.name('group')]
  await run.write(from, numbered(3, 0, 60))
  const spec = { groupId, transactionalId: run.name('id'), from, to, dieIn: 3 }
  const first = run.start('transformer', spec)
  await until('a transaction half way', () => first.ready)
  await first.kill()
  const before = (await run.values(to)).length
  const all = (await run.values(to, { readUncommitted: true })).length
  say(`killed in its third transaction: readers see ${before}, and ${all - before} that may never be`)
  say(`offsets: ${await run.committed(groupId, from)}`)
  const second = run.start('transformer', { ...spec, dieIn: 0 })
  await until('the rest', async () => (await run.committed(groupId, from)) >= 60)
  await second.leave()
  say(`committed: ${short(await run.values(to))}`)
  say(`all: ${(await run.values(to, { readUncommitted: true })).length}`)
  say(`offsets: ${await run.committed(groupId, from)}`)
}

module.exports = { transactions, fencing, transform }
