import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'
import { fileURLToPath } from 'node:url'

/**
 * Bytes on the heap for one authorization by HTTP JSON, with the simulated disk, network and issuer
 * around it: 67 kB were measured, of which about 50 are the switch's own main thread
 * (load-tests/profile/message-cost.ts). A third more is something that a message did not do before.
 */
const ALLOCATED_BYTES_MAX = 90_000

interface Seen {
  /** Of each kind of hot object, whether all that were seen have one hidden class. */
  readonly isOneShape: Readonly<Record<string, boolean>>
  readonly tellsShapesApart: boolean
  readonly allocatedBytes: number
  readonly collections: number
}

const here = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)

/** For a process of its own: hidden classes are seen by V8's natives, the heap must stand still. */
const SCRIPT = `
const { createSimulatedSwitch } = await import(${here('../simulated-switch.ts')})
const { simulatedParts } = await import(${here('../adapters/simulated-parts.ts')})
const { createAcquirerApi } = await import(${here('./acquirer-api.ts')})
const { PerformanceObserver } = await import('node:perf_hooks')
const haveSameMap = new Function('a', 'b', 'return %HaveSameMap(a, b)')
const rig = await createSimulatedSwitch(simulatedParts())
const { world } = rig
const seen = { intent: [], attempt: [], card: [], outcome: [], scoring: [] }
const watch = (object, name, note) => {
  const real = object[name].bind(object)
  object[name] = (...given) => (note(...given), real(...given))
}
let isWatching = true
const note = (kind, object) => isWatching && seen[kind].push(object)
watch(world.store, 'claim', (intent) => {
  note('intent', intent)
  note('attempt', intent.attempt)
  note('card', intent.attempt?.card)
})
watch(world.store, 'record', (outcome) => note('outcome', outcome))
watch(world.scorer, 'score', (request) => note('scoring', request))
const api = createAcquirerApi(world)
let number = 0
const ask = async (body) => {
  const bytes = new TextEncoder().encode(JSON.stringify(body))
  const headers = new Map([
    ['authorization', 'Bearer demo-key'],
    ['idempotency-key', 'k-' + number++],
    ['content-type', 'application/json'],
  ])
  const head = { method: 'POST', path: '/v1/authorizations', query: '', headers }
  const { caller } = api.gate(head)
  const { status, body: answer } = await api.handle({ ...head, body: bytes }, caller)
  if (status !== 200) throw new Error(answer)
}
const least = {
  amount: 2599, currency: 'EUR', channel: 'pos',
  card: { pan: '4761739001010119', expiry: '2912' }, merchant: { id: 'M-1001', mcc: '5411' },
}
const most = {
  ...least, type: 'authorization', channel: 'ecommerce',
  card: { ...least.card, cvv: '123', country: 'DE' },
  merchant: { ...least.merchant, name: 'Corner Shop', city: 'Berlin', country: 'DE',
    latitude: 52.5, longitude: 13.4, timeZone: 'Europe/Berlin' },
  terminal: { id: 'T-0001', entryMode: 'ecommerce' },
  device: { id: 'D-77', ip: '203.0.113.7', ipCountry: 'DE', userAgent: 'Mozilla/5.0' },
  customer: { id: 'C-42', email: 'c42@example.com', country: 'DE' },
  threeDs: { version: '2.2.0', eci: '05', status: 'authenticated' },
  stan: '000123', rrn: '632610000123', transmittedAt: '2026-11-22T10:00:00Z',
}
for (const body of [least, most, { ...most, type: 'sale' }, least]) await ask(body)
isWatching = false
const isOneShape = {}
for (const [kind, objects] of Object.entries(seen)) {
  if (objects.length > 0) isOneShape[kind] = objects.every((one) => haveSameMap(one, objects[0]))
}
for (let i = 0; i < 400; i++) await ask(most)
globalThis.gc()
let collections = 0
new PerformanceObserver((list) => {
  collections += list.getEntries().length
}).observe({ entryTypes: ['gc'] })
await new Promise((resolve) => setTimeout(resolve, 20))
collections = 0
const before = process.memoryUsage().heapUsed
const MESSAGES = 400
for (let i = 0; i < MESSAGES; i++) await ask(most)
const allocatedBytes = Math.round((process.memoryUsage().heapUsed - before) / MESSAGES)
await new Promise((resolve) => setTimeout(resolve, 20))
const tellsShapesApart = !haveSameMap({ a: 1 }, { a: 1, b: 2 })
console.log(JSON.stringify({ isOneShape, tellsShapesApart, allocatedBytes, collections }))
process.exit(0)
`

const run = (): Seen => {
  const flags = ['--allow-natives-syntax', '--expose-gc', '--min-semi-space-size=128']
  const tsx = fileURLToPath(import.meta.resolve('tsx'))
  const args = [...flags, '--max-semi-space-size=128', '--import', tsx]
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [...args, '--input-type=module', '--eval', SCRIPT],
    { encoding: 'utf8' },
  )
  assert.match(stdout, /^\{/, stderr)
  return JSON.parse(stdout) as Seen
}

const seen = run()

test('what a message is made of has one shape, whatever its request holds', () => {
  assert.ok(seen.tellsShapesApart, 'the check sees no difference at all')
  assert.deepEqual(seen.isOneShape, {
    intent: true,
    attempt: true,
    card: true,
    outcome: true,
    scoring: true,
  })
})

test('a message stays within its budget of allocated bytes', () => {
  assert.equal(seen.collections, 0, 'what is collected meanwhile is not counted')
  assert.ok(seen.allocatedBytes > 5_000, `${seen.allocatedBytes} bytes: was anything done?`)
  assert.ok(seen.allocatedBytes <= ALLOCATED_BYTES_MAX, `${seen.allocatedBytes} bytes`)
})
