// What this program does as a process of its own.
'use strict'

const { clientOf, errorName } = require('./run')

const tell = (what) => new Promise((resolve) => process.send(what, resolve))

// A member of a group: reads, tells and commits until SIGTERM, which is a clean end.
async function member(at, { groupId, topic }) {
  const consumer = clientOf(at).consumer({
    groupId,
    sessionTimeout: 6_000,
    heartbeatInterval: 500,
    rebalanceTimeout: 15_000,
    maxWaitTimeInMs: 200,
  })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => tell({ holds: payload.memberAssignment[topic] || [] }))
  consumer.on(consumer.events.REBALANCING, () => tell({ rebalancing: true }))
  consumer.on(consumer.events.CRASH, ({ payload }) => tell({ error: errorName(payload.error) }))
  process.on('SIGTERM', () => consumer.disconnect().then(() => process.exit(0)))
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      const { partition } = batch
      const values = batch.messages.map((message) => String(message.value))
      await tell({ read: values })
      const offset = String(Number(batch.lastOffset()) + 1)
      try {
        await consumer.commitOffsets([{ topic, partition, offset }])
      } catch (error) {
        // It was silent for too long: these are another member's by now.
        await tell({ unread: values })
        throw error
      }
    },
  })
}

// Leaves a transaction open.
async function open(at, { transactionalId, topic, messages }) {
  const producer = clientOf(at).producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages })
  await tell({ ready: true })
}

// Consumes, transforms and produces in transactions of five; dies in the one of that number (0: never).
async function transformer(at, { groupId, transactionalId, from, to, dieIn }) {
  const kafka = clientOf(at)
  const producer = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  // Ends what a predecessor left open, before the offsets are looked up.
  await (await producer.transaction()).abort()
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6_000, heartbeatInterval: 500, maxWaitTimeInMs: 200 })
  process.on('SIGTERM', () => consumer.disconnect().then(() => process.exit(0)))
  let round = 0
  await consumer.connect()
  await consumer.subscribe({ topic: from, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat }) => {
      for (let i = 0; i < batch.messages.length; i += 5) {
        const messages = batch.messages.slice(i, i + 5)
        const last = messages[messages.length - 1].offset
        const transaction = await producer.transaction()
        await transaction.send({ topic: to, messages: messages.map(({ value }) => ({ value, partition: batch.partition % 2 })) })
        const partitions = [{ partition: batch.partition, offset: String(Number(last) + 1) }]
        await transaction.sendOffsets({ consumerGroupId: groupId, topics: [{ topic: from, partitions }] })
        round += 1
        if (round === dieIn) {
          await tell({ ready: true })
          await new Promise(() => {})
        }
        await transaction.commit()
        resolveOffset(last)
        await heartbeat()
      }
    },
  })
}

module.exports = { roles: { member, open, transformer } }
