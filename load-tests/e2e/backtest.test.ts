// What an analyst does beside a running switch, by commands of their own processes: why a payment
// was declined, what the rules did, what a change of them would have done.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cp, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { purchase, type System, startSystem } from './system.ts'

const project = path.resolve(import.meta.dirname, '../..')
const email = 'jane.doe@example.com'

let system: System
const answers: Readonly<Record<string, unknown>>[] = []

before(async () => {
  system = await startSystem()
  for (let n = 0; n < 10; n++) {
    const body = {
      ...purchase(7, 150 + n),
      channel: 'ecommerce',
      device: { id: 'D-tester', ip: '203.0.113.99' },
      customer: { id: 'C-77001', email },
    }
    answers.push((await system.post(`backtest-${n}`, body)).body)
  }
})

after(() => system.stop())

interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function rules(...words: readonly string[]): Promise<Ran> {
  const env = {
    ...process.env,
    SWITCHYARD_CONFIG: path.join(system.folder, 'switchyard.yaml'),
    DATA_DIR: system.running.dataDir,
    KEYS_FILE: path.join(system.folder, 'keys', 'keys.json'),
  }
  const bin = path.join(project, 'switch/commands/switchyard.js')
  const child = spawn(process.execPath, [bin, 'rules', ...words], { env })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (data: Buffer) => {
    output.stdout += data.toString()
  })
  child.stderr.on('data', (data: Buffer) => {
    output.stderr += data.toString()
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...output })))
}

test('the last of many small payments is declined, and explain says by which clauses', async () => {
  const last = answers.at(-1)
  assert.equal(last?.outcome, 'declined')
  const { code, stdout, stderr } = await rules('explain', String(last?.id))
  assert.equal(code, 0, stderr)
  assert.match(stdout, /risk: decline, .*velocity_device/)
  assert.match(stdout, /decided again: the same/)
  assert.match(stdout, /card-testing\.many-small-amounts fired \(live, decline, velocity_device\)/)
  assert.match(stdout, /true +count\(device, "10m"\) >= 8 +count\(device, "10m"\) = 10/)
  for (const secret of [email, 'C-77001', '203.0.113.99', 'D-tester']) {
    assert.ok(!stdout.includes(secret), `${secret} in ${stdout}`)
  }
})

test('explain says of one rule why it did not fire, as JSON too', async () => {
  const rule = 'card-testing.many-small-amounts'
  const { stdout, code } = await rules('explain', String(answers[2]?.id), '--rule', rule, '--json')
  assert.equal(code, 0)
  const told = JSON.parse(stdout) as {
    rules: { id: string; result: string; clauses: { text: string; result: string }[] }[]
  }
  assert.deepEqual(
    told.rules.map(({ id, result }) => [id, result]),
    [[rule, 'false']],
  )
  assert.deepEqual(
    told.rules[0]?.clauses.map(({ result }) => result),
    ['true', 'true', 'false'],
  )
  const unknown = await rules('explain', 'auth_00000000000000000000000000')
  assert.equal(unknown.code, 1)
  assert.match(unknown.stderr, /no authorization with the id/)
})

test('a backtest of the store decides every stored decision the same', async () => {
  const { code, stdout, stderr } = await rules('backtest', '--json')
  assert.equal(code, 0, stderr)
  const report = JSON.parse(stdout) as {
    payments: { payments: number }
    replayed: { decisions: number; same: number }
    changes: { known: number; same: number }
    truth: unknown
    refusedThen: { all: { payments: number } }
  }
  assert.equal(report.payments.payments, answers.length)
  assert.equal(report.changes.same, answers.length)
  const declined = answers.filter(({ outcome }) => outcome !== 'approved').length
  assert.equal(report.refusedThen.all.payments, declined)
  assert.equal(report.truth, null)
  assert.deepEqual(report.replayed, { decisions: answers.length, same: answers.length })
  assert.ok(!stdout.includes(email) && !stderr.includes(email))
})

test('a stricter rule would have declined earlier, and diff says by how much', async () => {
  const candidate = path.join(system.folder, 'candidate')
  for (const part of ['packs', 'lists']) {
    await cp(path.join(project, 'rules', part), path.join(candidate, part), { recursive: true })
  }
  const pack = path.join(candidate, 'packs/card-testing.yaml')
  const text = await readFile(pack, 'utf8')
  await writeFile(pack, text.replace('count(device, "10m") >= 8', 'count(device, "10m") >= 4'))
  const current = path.join(project, 'rules')
  const { code, stdout, stderr } = await rules('diff', current, candidate, '--json')
  assert.equal(code, 0, stderr)
  const told = JSON.parse(stdout) as {
    rules: { changed: string[]; added: string[] }
    comparison: { changes: { to: string; payments: number; amount: number }[] }
  }
  assert.deepEqual(told.rules.changed, ['card-testing.many-small-amounts'])
  assert.deepEqual(
    told.comparison.changes.map(({ to, payments, amount }) => [to, payments, amount]),
    [['decline', 4, 618]],
  )
})
