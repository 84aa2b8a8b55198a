// Records: codecs, all that a record carries, and where a reader begins.
'use strict'

const { CompressionTypes } = require('kafkajs')
const { check, numbered, refusal, say, short, until } = require('./run')

// LZ4 and Zstandard are missing: their packages for this client need native code.
const CODECS = { none: 'None', gzip: 'GZIP', snappy: 'Snappy' }

async function codecs(run) {
  for (const codec of Object.keys(CODECS)) await through(run, await run.topic(`by-${codec}`, 1), codec)
  // The topic's own codec wins over the producer's.
  for (const kept of ['uncompressed', 'gzip', 'snappy']) {
    await through(run, await run.topic(`to-${kept}`, 1, { 'compression.type': kept }), 'gzip')
  }
}

// Small messages and one of half a megabyte that packs badly.
async function through(run, topic, codec) {
  const sent = numbered(1, 0, 200).map(({ value }) => ({ key: 'key', value: value.repeat(50), headers: { codec: value } }))
  let seed = 1
  const big = Buffer.from(Array.from({ length: 500_000 }, () => (seed = (seed * 48271) % 2147483647) & 255))
  sent.push({ key: 'big', value: big, headers: {} })
  await run.write(topic, sent, { compression: CompressionTypes[CODECS[codec]] })
  const found = await run.read(topic, { enough: (found) => found.length >= sent.length })
  check(found.length === sent.length, `${found.length} messages of ${sent.length}`)
  found.forEach((message, n) => {
    const same = message.value.equals(Buffer.from(sent[n].value)) && String(message.key) === sent[n].key
    check(same && String(message.headers.codec) === String(sent[n].headers.codec), `message ${n} is another`)
  })
  say(`${run.plain(topic)}: ${found.length} messages as sent in ${codec}`)
}

const shown = (value) => (value == null ? 'null' : JSON.stringify(value.toString('latin1')))

async function records(run) {
  await carried(run)
  await spread(run)
  await stamped(run)
  await refused(run)
}

// Keys, values, headers and timestamps come back as they went.
async function carried(run) {
  const topic = await run.topic('carried', 1)
  const sent = [
    { key: null, value: 'no key', timestamp: '1000' },
    { key: '', value: 'empty key', timestamp: '2000' },
    { key: 'k', value: null, timestamp: '3000' },
    { key: 'k', value: '', timestamp: '3000' },
    { key: Buffer.from([0, 255, 10]), value: 'бüß', timestamp: '9000' },
    { value: 'headers', timestamp: '5000', headers: { a: ['1', '2'], empty: '', b: Buffer.from([0, 1, 254]), c: 'last' } },
  ]
  for (const message of sent) await run.write(topic, [message])
  for (const message of await run.read(topic)) {
    say(`${message.offset} at ${message.timestamp}: key ${shown(message.key)}, value ${shown(message.value)}`)
    for (const [name, values] of Object.entries(message.headers)) say(`  header ${name} ${[values].flat().map(shown)}`)
  }
  for (const time of [0, 1000, 1001, 3000, 3001, 5001, 9000, 9001]) {
    const [{ offset }] = await run.admin.fetchTopicOffsetsByTimestamp(topic, time)
    say(`from ${time} on: offset ${offset}`)
  }
  const [{ low, high, offset }] = await run.admin.fetchTopicOffsets(topic)
  say(`from ${low} to ${high}, next ${offset}`)
}

// Keys go to the partitions that Java's hash says.
async function spread(run) {
  const topic = await run.topic('spread', 6)
  const messages = Array.from({ length: 30 }, (_, n) => ({ key: `key-${n % 10}`, value: String(n) }))
  await run.write(topic, messages)
  for (const { partition, offset, key, value } of await run.read(topic)) say(`${partition}/${offset}: ${key} is ${value}`)
}

// The broker's clock where the topic asks for it.
async function stamped(run) {
  const topic = await run.topic('stamped', 1, { 'message.timestamp.type': 'LogAppendTime' })
  const producer = await run.producer()
  const [answer] = await producer.send({ topic, messages: [{ value: 'now', timestamp: '1000' }] })
  await producer.disconnect()
  const [{ timestamp }] = await run.read(topic)
  const near = Math.abs(Date.now() - Number(timestamp)) < 60_000
  say(`stamped by the broker: now: ${near}, said so: ${answer.logAppendTime === timestamp}, offset ${answer.baseOffset}`)
}

// What a broker does not take; and writing without waiting for it.
async function refused(run) {
  const odd = [
    ['small', { 'max.message.bytes': '1000' }, { value: 'x'.repeat(2_000) }],
    ['keyed', { 'cleanup.policy': 'compact' }, { value: 'no key' }],
    ['timely', { 'message.timestamp.before.max.ms': '1000' }, { value: 'too old', timestamp: '1000' }],
  ]
  for (const [name, settings, message] of odd) {
    const topic = await run.topic(name, 1, settings)
    say(`${name}: ${await refusal(run.write(topic, [message]))}`)
  }
  say(`no topic: ${await refusal(run.write(run.name('nothing'), [{ value: 'lost' }]))}`)
  for (const acks of [0, 1, -1]) {
    const topic = await run.topic(`acks${acks}`, 1)
    await run.write(topic, numbered(1, 0, 5), { acks })
    say(`acks ${acks}: ${short(await run.values(topic, { enough: (found) => found.length >= 5 }))}`)
  }
}

// Twenty messages, a second apart; the first five are deleted in the end.
async function resets(run) {
  const topic = await run.topic('topic', 1)
  for (const [n, message] of numbered(1, 0, 20).entries()) await run.write(topic, [{ ...message, timestamp: String(n * 1_000) }])
  const first = async (what, commit, fromBeginning = true) => {
    const groupId = run.freshGroup()
    if (commit != null) await commit(groupId)
    const [{ offset, value }] = await run.read(topic, { groupId, fromBeginning, enough: (found) => found.length > 0 })
    return `${what}: offset ${offset} is ${value}`
  }
  const partitions = (offset) => [{ partition: 0, offset: String(offset) }]
  const at = (offset) => (groupId) => run.admin.setOffsets({ groupId, topic, partitions: partitions(offset) })
  // Side by side: this client takes five seconds to set a group's offsets.
  const before = await Promise.all([
    first('earliest'),
    first('committed 12', at(12)),
    first('reset to the earliest', (groupId) => run.admin.resetOffsets({ groupId, topic, earliest: true })),
    first('committed 100, earliest', at(100)),
    first('from 7500 ms on', async (groupId) => {
      const [{ offset }] = await run.admin.fetchTopicOffsetsByTimestamp(topic, 7_500)
      await at(offset)(groupId)
    }),
  ])
  before.forEach(say)
  const sought = await run.read(topic, {
    joined: (consumer) => consumer.seek({ topic, partition: 0, offset: '17' }),
    enough: (found) => found.some(({ value }) => String(value) === '19'),
  })
  say(`sought: ${sought.some(({ offset }) => offset === '17')}`)
  await run.admin.deleteTopicRecords({ topic, partitions: partitions(5) })
  const after = await Promise.all([first('deleted before 5, earliest'), first('committed 2, earliest', at(2))])
  after.forEach(say)
  const news = await Promise.all([
    latest(run, topic, 'latest'),
    latest(run, topic, 'committed 1000000, latest', at(1_000_000)),
    latest(run, topic, 'reset to the latest', (groupId) => run.admin.resetOffsets({ groupId, topic, earliest: false })),
  ])
  news.forEach(say)
}

// Writes until the reader sees something: nothing that was there before.
async function latest(run, topic, what, commit) {
  const groupId = run.freshGroup()
  if (commit) await commit(groupId)
  const [{ high }] = await run.admin.fetchTopicOffsets(topic)
  let seen = []
  const reading = run.read(topic, { groupId, fromBeginning: false, enough: (found) => (seen = found).length > 0 })
  await until('something new', async () => {
    await run.write(topic, [{ value: 'new' }])
    return seen.length > 0
  })
  const [{ offset, value }] = await reading
  return `${what}: only new ones: ${Number(offset) >= Number(high) && String(value) === 'new'}`
}

module.exports = { codecs, records, resets }
