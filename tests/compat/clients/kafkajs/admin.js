// A tour through what an administrator does.
'use strict'

const { ConfigResourceTypes } = require('kafkajs')
const { numbered, refusal, say, short, until } = require('./run')

async function admin(run) {
  const node = await cluster(run)
  await topics(run, node)
  await settings(run, node)
  await partitions(run, node)
  await groups(run)
  await removal(run)
  await run.admin.disconnect()
}

async function cluster(run) {
  const { brokers, controller, clusterId } = await run.admin.describeCluster()
  say(`brokers: ${brokers.length} at ${brokers[0].host}, cluster id: ${clusterId.length > 0}`)
  say(`controller is a broker: ${controller === brokers[0].nodeId}`)
  return brokers[0].nodeId
}

async function topics(run, node) {
  const create = async (what, topic, more = {}) => {
    let made
    const creation = run.admin.createTopics({ topics: [{ topic, ...more.of }], validateOnly: more.validateOnly, waitForLeaders: !more.validateOnly })
    const refused = await refusal(creation.then((answer) => (made = answer)))
    say(`create ${what}: ${refused}, made: ${made}`)
  }
  const [one, two, byHand, bad] = ['one', 'two', 'by-hand', 'bad'].map((short) => run.name(short))
  const configEntries = [
    { name: 'retention.ms', value: '86400000' },
    { name: 'cleanup.policy', value: 'compact,delete' },
  ]
  await create('for show', run.name('dry'), { of: { numPartitions: 3 }, validateOnly: true })
  say(`there: ${(await run.admin.listTopics()).includes(run.name('dry'))}`)
  await create('one', one, { of: { numPartitions: 3, replicationFactor: 1, configEntries } })
  await create('one again', one)
  await create('with defaults', two, { of: { numPartitions: -1, replicationFactor: -1 } })
  await create('no partitions', bad, { of: { numPartitions: 0 } })
  await create('three replicas', bad, { of: { replicationFactor: 3 } })
  await create('a wrong value', bad, { of: { configEntries: [{ name: 'retention.ms', value: 'never' }] } })
  await create('an unknown setting', bad, { of: { configEntries: [{ name: 'no.such', value: '1' }] } })
  await create('an odd name', 'a/b')
  const assigned = (...replicas) => ({ of: { replicaAssignment: replicas.map((of, partition) => ({ partition, replicas: of })) } })
  await create('assigned to no broker of this cluster', byHand, assigned([node + 1]))
  await create('assigned to a broker twice', byHand, assigned([node, node]))
  await create('assigned', byHand, assigned([node], [node]))
  const described = await run.admin.fetchTopicMetadata({ topics: [byHand, one, two] })
  for (const { name, partitions } of described.topics.sort((a, b) => a.name.localeCompare(b.name))) {
    const led = partitions.every(({ leader, replicas, isr }) => leader === node && `${replicas}/${isr}` === `${node}/${node}`)
    say(`${run.plain(name)}: ${partitions.length} partitions, led and held by the one broker: ${led}`)
  }
  say(`an unknown topic: ${await refusal(run.admin.fetchTopicMetadata({ topics: [run.name('nothing')] }))}`)
}

async function settings(run, node) {
  const topic = run.name('one')
  const alter = async (what, configEntries, validateOnly = false, name = topic) => {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name, configEntries }]
    say(`${what}: ${await refusal(run.admin.alterConfigs({ validateOnly, resources }))}`)
  }
  const show = async (type, name, ...configNames) => {
    const { resources } = await run.admin.describeConfigs({ includeSynonyms: true, resources: [{ type, name, configNames }] })
    for (const entry of resources[0].configEntries.sort((a, b) => a.configName.localeCompare(b.configName))) {
      const synonyms = entry.configSynonyms.map((of) => `${of.configName}=${of.configValue} from ${of.configSource}`)
      say(`  ${entry.configName}=${entry.configValue} from ${entry.configSource}, default ${entry.isDefault}, fixed ${entry.readOnly}, secret ${entry.isSensitive} [${synonyms}]`)
    }
  }
  await show(ConfigResourceTypes.TOPIC, topic, 'retention.ms', 'cleanup.policy', 'segment.bytes')
  // This client knows the old request alone: what is not named goes back to its default.
  await alter('set', [{ name: 'max.message.bytes', value: '5000' }])
  // A broker shows a change a moment after it is answered.
  await until('the change', async () => {
    const asked = { type: ConfigResourceTypes.TOPIC, name: topic, configNames: ['max.message.bytes'] }
    const { resources } = await run.admin.describeConfigs({ resources: [asked] })
    return resources[0].configEntries[0].configValue === '5000'
  })
  await show(ConfigResourceTypes.TOPIC, topic, 'retention.ms', 'cleanup.policy', 'max.message.bytes')
  await alter('for show', [{ name: 'retention.ms', value: '9' }], true)
  await alter('a wrong value', [{ name: 'retention.ms', value: 'x' }])
  await alter('an unknown setting', [{ name: 'no.such', value: 'x' }])
  await alter('too little', [{ name: 'segment.bytes', value: '1' }])
  await alter('of an unknown topic', [{ name: 'retention.ms', value: '9' }], false, run.name('nothing'))
  say('all of a topic')
  await show(ConfigResourceTypes.TOPIC, topic)
  say('of the broker')
  await show(ConfigResourceTypes.BROKER, String(node), 'log.segment.bytes', 'num.partitions', 'message.max.bytes')
  const unknown = run.admin.describeConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: run.name('nothing') }] })
  say(`of an unknown topic: ${await refusal(unknown)}`)
}

async function partitions(run, node) {
  const topic = run.name('two')
  const more = async (what, of) => {
    say(`${what}: ${await refusal(run.admin.createPartitions({ topicPartitions: [{ topic, ...of }] }))}`)
  }
  await more('three partitions', { count: 3 })
  await more('two partitions', { count: 2 })
  await more('four on named brokers', { count: 4, assignments: [[node]] })
  await more('five on no broker', { count: 5, assignments: [[node + 1]] })
  await more('of an unknown topic', { topic: run.name('nothing'), count: 3 })
  await until('four partitions', async () => {
    const [{ partitions }] = (await run.admin.fetchTopicMetadata({ topics: [topic] })).topics
    return partitions.length === 4
  })
  await run.write(topic, numbered(4, 0, 40))
  const remove = async (what, partition, offset) => {
    const removal = run.admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })
    say(`${what}: ${await refusal(removal)}`)
  }
  await remove('records before 4', 0, 4)
  await remove('records before 2', 0, 2)
  await remove('all records', 1, -1)
  await remove('records before 11', 2, 11)
  for (const { partition, low, high } of (await run.admin.fetchTopicOffsets(topic)).sort((a, b) => a.partition - b.partition)) {
    say(`  ${partition}: from ${low} to ${high}`)
  }
  say(`read: ${short(await run.values(topic))}`)

  const moving = await run.admin.listPartitionReassignments({ topics: [{ topic, partitions: [0, 1] }] })
  say(`being moved: ${moving.topics.length}`)
  const move = async (what, replicas) => {
    const topics = [{ topic, partitionAssignment: [{ partition: 0, replicas }] }]
    say(`${what}: ${await refusal(run.admin.alterPartitionReassignments({ topics }))}`)
  }
  await move('move to where it is', [node])
  await move('move to nowhere', [node + 1])
  await move('move to two', [node, node])
}

async function groups(run) {
  const [topic, live, idle] = [run.name('two'), run.name('live'), run.name('idle')]
  const member = run.start('member', { groupId: live, topic })
  await until('a member', () => member.holds.length === 4)
  await until('its commits', async () => (await run.committed(live, topic)) === 30)
  const set = [
    { partition: 0, offset: '5' },
    { partition: 2, offset: '3' },
  ]
  // Side by side: this client takes five seconds each.
  const reset = run.name('reset')
  await Promise.all([
    run.admin.setOffsets({ groupId: idle, topic, partitions: set }),
    run.admin.resetOffsets({ groupId: reset, topic, earliest: true }),
  ])
  const show = async (groupId, resolveOffsets = false) => {
    const [{ partitions }] = await run.admin.fetchOffsets({ groupId, topics: [topic], resolveOffsets })
    const shown = partitions.sort((a, b) => a.partition - b.partition).map((of) => `${of.partition}: ${of.offset} ${of.metadata || ''}`)
    say(`offsets of ${run.plain(groupId)}: ${shown.map((text) => text.trim()).join(', ')}`)
  }
  await show(live)
  await show(idle)
  await show(reset)
  await show(reset, true)
  for (const groupId of [live, idle, run.name('nobody')]) {
    const [group] = (await run.admin.describeGroups([groupId])).groups
    const members = group.members.map(({ clientId, clientHost }) => `${clientId} at ${clientHost.replace('/', '')}`)
    say(`${run.plain(groupId)}: ${group.state} ${group.protocolType} ${group.protocol} [${members}] error ${group.errorCode}`)
  }
  const listed = (await run.admin.listGroups()).groups.filter(({ groupId }) => groupId.startsWith(run.prefix))
  const named = listed.map(({ groupId, protocolType }) => `${run.plain(groupId)} ${protocolType}`)
  say(`listed: ${named.filter((name) => !name.startsWith('group-')).sort()}`)
  say(`set offsets beside a member: ${await refusal(run.admin.setOffsets({ groupId: live, topic, partitions: set }))}`)
  say(`delete a group with a member: ${await refusal(run.admin.deleteGroups([live]))}`)
  await member.leave()
  await run.state(live, 'Empty', 0)
  const deleted = await run.admin.deleteGroups([live, idle])
  for (const { groupId, errorCode } of deleted.sort((a, b) => a.groupId.localeCompare(b.groupId))) {
    say(`delete ${run.plain(groupId)}: ${errorCode}`)
  }
  say(`delete an unknown group: ${await refusal(run.admin.deleteGroups([run.name('nobody')]))}`)
  await show(idle)
}

async function removal(run) {
  const remove = (...names) => refusal(run.admin.deleteTopics({ topics: names.map((short) => run.name(short)) }))
  say(`delete topics: ${await remove('one', 'two', 'by-hand')}`)
  say(`delete an unknown topic: ${await remove('nothing')}`)
  await until('their end', async () => !(await run.admin.listTopics()).some((name) => name.startsWith(run.prefix)))
  say('they are gone')
}

module.exports = { admin }
