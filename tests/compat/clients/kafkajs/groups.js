// Groups: members that join, leave, fall silent and die.
'use strict'

const { check, numbered, numbers, say, short, until } = require('./run')

// Waits until the members hold that many partitions each, the most first, and no partition twice.
async function shares(what, members, ...wanted) {
  await until(`shares ${wanted}: ${what}`, () => {
    const counts = members.map(({ holds }) => holds.length).sort((a, b) => b - a)
    const all = members.flatMap(({ holds }) => holds)
    return String(counts) === String(wanted) && new Set(all).size === all.length
  })
  say(`${what}: shares ${wanted}`)
}

// Waits until the members have read that many values together and committed them; all values, sorted.
async function readBy(run, groupId, topic, members, count) {
  const all = () => members.flatMap(({ read }) => read)
  await until(`${count} records`, () => all().length >= count)
  await until('commits', async () => (await run.committed(groupId, topic)) >= count)
  return numbers(all())
}

async function joins(run) {
  const [topic, groupId] = [await run.topic('topic', 6), run.name('group')]
  const start = () => run.start('member', { groupId, topic })
  const write = (from, to) => run.write(topic, numbered(6, from, to))
  const a = start()
  await shares('one', [a], 6)
  const b = start()
  await shares('two', [a, b], 3, 3)
  const c = start()
  await shares('three', [a, b, c], 2, 2, 2)
  const group = await run.state(groupId, 'Stable', 3)
  say(`described: ${group.protocolType}, ${group.protocol}, ${group.members.map(({ clientId }) => clientId)}`)
  await write(0, 60)
  say(`read ${short(await readBy(run, groupId, topic, [a, b, c], 60))}`)

  const leaving = Date.now()
  await c.leave()
  await shares('one left', [a, b], 3, 3)
  check(Date.now() - leaving < 5_000, 'the others waited for the session timeout')
  await write(60, 90)
  say(`read ${short(await readBy(run, groupId, topic, [a, b, c], 90))}`)

  b.signal('SIGSTOP')
  await shares('one is silent', [a], 6)
  await write(90, 120)
  say(`read ${short(await readBy(run, groupId, topic, [a, b, c], 120))}`)
  b.signal('SIGCONT')
  await until('it rejoins', () => a.holds.length === 3)
  await shares('it is back', [a, b], 3, 3)
  await write(120, 150)
  say(`read ${short(await readBy(run, groupId, topic, [a, b, c], 150))}`)
  await b.kill()
  await shares('one is killed', [a], 6)
  await a.leave()
  await run.state(groupId, 'Empty', 0)

  await write(150, 180)
  const d = start()
  say(`a new one goes on: ${short(await readBy(run, groupId, topic, [d], 30))}`)
  await d.leave()
  say(`committed ${await run.committed(groupId, topic)}`)
}

module.exports = { joins }
