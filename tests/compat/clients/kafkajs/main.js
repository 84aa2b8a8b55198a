// The scenarios of the compatibility suite by kafkajs: `node main.js SCENARIO HOST:PORT`.
//
// Prints what a user would see, one fact a line, the same on every broker. Ends with status 1 and a
// message when something else happens, or when a step takes too long.
'use strict'

const { Run, fail, endAll, SCENARIO_LIMIT_MS } = require('./run')
const { roles } = require('./roles')

const scenarios = {
  ...require('./records'),
  ...require('./groups'),
  ...require('./transactions'),
  ...require('./admin'),
}

async function main() {
  const [name, at, spec] = process.argv.slice(2)
  setTimeout(() => fail(`${name} takes too long`), SCENARIO_LIMIT_MS)
  process.on('unhandledRejection', fail)
  // A role is played as a process of its own, to be stopped and killed by its parent.
  if (roles[name]) {
    process.on('disconnect', () => process.exit(1))
    await roles[name](at, JSON.parse(spec))
    return
  }
  if (!scenarios[name]) fail(`no scenario ${name}`)
  const run = new Run(at, `kafkajs-${name}-${Date.now().toString(16)}-`)
  await run.admin.connect()
  await scenarios[name](run)
  endAll()
  process.exit(0)
}

main().catch(fail)
