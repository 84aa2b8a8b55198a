// One run of a scenario: clients, topics, whole topics written and read, and children.
'use strict'

const { fork } = require('child_process')
const path = require('path')
const { Kafka, logLevel, CompressionTypes, CompressionCodecs } = require('kafkajs')

// How long one wait may take, and how long a scenario.
const STEP_LIMIT_MS = 30_000
const SCENARIO_LIMIT_MS = 120_000
// A reader has seen the end when so many fetches in a row brought nothing.
const IDLE_FETCHES = 4

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

const children = []

function clientOf(at) {
  // Short waits between tries: what is tried again here is the rule, not the exception.
  const retry = { initialRetryTime: 50, retries: 5 }
  return new Kafka({ clientId: 'kafkajs', brokers: [at], logLevel: logLevel.NOTHING, retry })
}

class Run {
  constructor(at, prefix) {
    this.at = at
    // Begins the names of all topics, groups and transactional ids; never printed.
    this.prefix = prefix
    this.kafka = clientOf(at)
    this.admin = this.kafka.admin()
    this.groups = 0
  }

  name(short) {
    return this.prefix + short
  }

  plain(text) {
    return text.replaceAll(this.prefix, '')
  }

  // Creates a topic; its full name.
  async topic(short, partitions, settings = {}) {
    const topic = this.name(short)
    // Some messages are of 1970: a broker may look for old ones at any moment.
    const configEntries = Object.entries({ 'retention.ms': '-1', ...settings }).map(([name, value]) => ({ name, value }))
    const topics = [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }]
    if (!(await this.admin.createTopics({ topics }))) fail(`${short} is there already`)
    // A write to a partition without a leader is tried again, and may be there twice.
    await until(`leaders of ${short}`, async () => {
      const { topics: [found] } = await this.admin.fetchTopicMetadata({ topics: [topic] })
      return found.partitions.length === partitions && found.partitions.every(({ leader }) => leader >= 0)
    })
    return topic
  }

  async producer(config = {}) {
    const producer = this.kafka.producer({ allowAutoTopicCreation: false, ...config })
    await producer.connect()
    return producer
  }

  async write(topic, messages, more = {}) {
    const producer = await this.producer()
    await producer.send({ topic, messages, ...more })
    await producer.disconnect()
  }

  // A group that nobody used before.
  freshGroup() {
    this.groups += 1
    return this.name(`group-${this.groups}`)
  }

  consumer(config) {
    return this.kafka.consumer({ maxWaitTimeInMs: 100, sessionTimeout: 6_000, heartbeatInterval: 500, ...config })
  }

  // All messages of a topic by partition and offset; `enough` ends it earlier.
  async read(topic, { groupId = this.freshGroup(), readUncommitted = false, fromBeginning = true, enough, joined } = {}) {
    const consumer = this.consumer({ groupId, readUncommitted })
    const found = []
    let idle = 0
    let crashed
    consumer.on(consumer.events.FETCH, () => (idle += 1))
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      // A consumer that begins again by itself is not crashed: its coordinator may still be loading.
      if (!payload.restart) crashed = payload.error
    })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning })
    const isIn = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve))
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        idle = 0
        found.push({ partition, ...message })
      },
    })
    await isIn
    idle = 0
    if (joined) await joined(consumer)
    await until(`the end of ${topic}`, () => {
      if (crashed) throw crashed
      return enough ? enough(found) : idle >= IDLE_FETCHES
    })
    await consumer.disconnect()
    return found.sort((a, b) => a.partition - b.partition || Number(a.offset) - Number(b.offset))
  }

  async values(topic, options) {
    return numbers((await this.read(topic, options)).map((message) => String(message.value)))
  }

  // The sum of a group's committed offsets.
  async committed(groupId, topic) {
    const [{ partitions }] = await this.admin.fetchOffsets({ groupId, topics: [topic] })
    return partitions.map(({ offset }) => Math.max(0, Number(offset))).reduce((a, b) => a + b)
  }

  start(role, spec) {
    const child = new Child(role, this.at, spec)
    children.push(child)
    return child
  }

  // Waits for a state and a number of members, as anybody may ask.
  async state(groupId, state, members) {
    let group
    await until(`${this.plain(groupId)} ${state}`, async () => {
      const { groups } = await this.admin.describeGroups([groupId])
      group = groups[0]
      return group.state === state && group.members.length === members
    })
    return group
  }
}

// A process of its own, and what it told.
class Child {
  constructor(role, at, spec) {
    this.holds = []
    this.read = []
    this.errors = []
    this.ready = false
    this.ended = false
    this.process = fork(path.join(__dirname, 'main.js'), [role, at, JSON.stringify(spec)])
    this.process.on('message', (told) => this.take(told))
    this.process.on('exit', () => (this.ended = true))
  }

  take(told) {
    if (told.holds) this.holds = told.holds
    if (told.rebalancing) this.holds = []
    if (told.read) this.read.push(...told.read)
    for (const value of told.unread || []) this.read.splice(this.read.lastIndexOf(value), 1)
    if (told.error) this.errors.push(told.error)
    if (told.ready) this.ready = true
  }

  signal(signal) {
    this.process.kill(signal)
  }

  // A clean end.
  async leave() {
    this.signal('SIGTERM')
    await until('the end of a member', () => this.ended)
  }

  async kill() {
    this.signal('SIGKILL')
    await until('the end of a member', () => this.ended)
  }
}

// Waits until it is so.
async function until(what, so) {
  for (const end = Date.now() + STEP_LIMIT_MS; !(await so()); ) {
    if (Date.now() > end) throw new Error(`waited too long for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function say(line) {
  console.log(line)
}

// Ends the program and everything it started.
function fail(error) {
  console.error(error instanceof Error ? `${errorName(error)}: ${error.stack}` : error)
  endAll()
  process.exit(1)
}

function endAll() {
  for (const child of children) child.process.kill('SIGKILL')
}

function check(so, what) {
  if (!so) throw new Error(what)
}

// The name of the protocol's error, else what the client says.
function errorName(error) {
  if (error.type && error.type !== 'UNKNOWN') return error.type
  const several = error.errors || error.groups || error.partitions
  if (several) return several.map((one) => errorName(one.error || one)).join(', ')
  return error.cause ? errorName(error.cause) : error.message
}

// What was refused, or "none".
async function refusal(promise) {
  try {
    await promise
    return 'none'
  } catch (error) {
    return errorName(error)
  }
}

// Messages with the values from-to (excluded), over the partitions in turn.
function numbered(partitions, from, to) {
  return Array.from({ length: to - from }, (_, n) => ({ partition: (from + n) % partitions, value: String(from + n) }))
}

function numbers(values) {
  return values.sort((a, b) => Number(a) - Number(b))
}

// Numbers in short: "0-9, 12, 12" (a number twice is said twice).
function short(values) {
  const parts = []
  for (let i = 0; i < values.length; ) {
    let last = i
    while (last + 1 < values.length && Number(values[last + 1]) === Number(values[last]) + 1) last += 1
    parts.push(last > i ? `${values[i]}-${values[last]}` : values[i])
    i = last + 1
  }
  return parts.join(', ') || 'nothing'
}

module.exports = {
  SCENARIO_LIMIT_MS, Run, check, clientOf, endAll, errorName, fail, numbered, numbers, refusal, say, short, until,
}
