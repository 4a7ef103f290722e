import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { registerVelocity } from './velocity.ts'

test('velocity show names the entities there are', async (t) => {
  const before = process.exitCode
  const error = t.mock.method(console, 'error', () => undefined)
  try {
    const program = new Command()
    registerVelocity(program)
    await program.parseAsync(['velocity', 'show', 'foo=bar'], { from: 'user' })
    assert.equal(process.exitCode, 2)
    const said = String(error.mock.calls[0]?.arguments.at(0))
    assert.match(said, /^foo is no entity: card, customer, /)
  } finally {
    process.exitCode = before
  }
})
