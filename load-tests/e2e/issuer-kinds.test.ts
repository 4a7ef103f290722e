// Issuers of every kind behind one switch: by HTTP, in three editions' dialects, framed in other ways,
// in TLS, with authentication codes. The same payment goes well and goes wrong at each.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import {
  makeCertificates,
  type RunningIssuer,
  type StartIssuerOptions,
  startIssuer,
} from '../processes/index.ts'
import { entriesOf, eventually, purchase, type System, startSystem } from './system.ts'

const timeoutMs = 1_000
const secret = Buffer.alloc(32, 9).toString('base64')
const macKey = '000102030405060708090a0b0c0d0e0f'

interface Kind {
  readonly name: string
  /** Eight digits. */
  readonly bin: string
  /** How the simulator speaks, and how the switch is told to. */
  readonly peer: Omit<StartIssuerOptions, 'name'>
  readonly link: object
}

/** Hex addresses of a TPDU, as a front-end processor may ask for. */
const tpdu = {
  encoding: 'bcd',
  bytes: 2,
  tpdu: { destination: '0001', source: '0002' },
} as const
const counted = { encoding: 'ascii', bytes: 4, countsItself: true } as const
const visaFrames = {
  encoding: 'binary',
  bytes: 2,
  reservedBytes: 2,
  countsReserved: false,
} as const

let folder: string
let system: System
const issuers = new Map<string, RunningIssuer>()
const kinds: Kind[] = []

function addKinds(tls: { peer: readonly string[]; link: object } | undefined): void {
  const add = (name: string, peer: Kind['peer'], link: object) =>
    kinds.push({ name, bin: `4761730${kinds.length}`, peer, link })
  const http = { keyId: 'switch', secret, path: '/v1' }
  add('by-http', { http: { key: `switch:${secret}` } }, { http })
  const mac = { algorithm: 'x9.19', key: macKey }
  const of1993 = { dialect: 'iso8583-1993-binary' }
  add(
    'of-1993',
    { ...of1993, framing: counted, mac: `x9.19:${macKey}` },
    { ...of1993, framing: counted, mac, connections: 2 },
  )
  const binary = { dialect: 'iso8583-1987-binary', framing: tpdu }
  add('binary', binary, binary)
  const vip = { dialect: 'visa-base1', framing: visaFrames }
  add('vip', vip, vip)
  const of2003 = { dialect: 'iso8583-2003-ascii' }
  add('of-2003', of2003, of2003)
  if (tls === undefined) return
  const ascii = { dialect: 'iso8583-1987-ascii' }
  add('in-tls', { ...ascii, tls: tls.peer }, { ...ascii, tls: tls.link })
  add('by-https', { http: { key: `switch:${secret}` }, tls: tls.peer }, { http, tls: tls.link })
}

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'switchyard-kinds-'))
  const pems = path.join(folder, 'pems')
  await mkdir(pems)
  const certificates = makeCertificates(pems)
  const file = (name: string) => path.join(pems, name)
  addKinds(
    certificates && {
      peer: [file('server.pem'), file('server.key'), file('ca.pem')],
      link: {
        caFile: file('ca.pem'),
        certFile: file('client.pem'),
        keyFile: file('client.key'),
        serverName: 'localhost',
      },
    },
  )
  system = await startSystem()
  await system.running.stop()
  const started = kinds.map(({ name, peer }) =>
    startIssuer({ ...peer, name, ledgerFile: path.join(folder, `${name}.ndjson`) }),
  )
  for (const issuer of await Promise.all(started)) issuers.set(issuer.name, issuer)
  await system.restart({
    issuers: kinds.map(({ name, link }) => {
      const port = issuers.get(name)?.port
      return { name, host: '127.0.0.1', port, timeoutMs, ...link }
    }),
    routes: kinds.map(({ name, bin }) => ({ bins: [bin], issuer: name })),
  })
})

after(async () => {
  await system?.stop()
  await Promise.all([...issuers.values()].map((issuer) => issuer.stop()))
  await rm(folder, { recursive: true, force: true })
})

/** Runs for every kind, side by side. */
async function forEach(check: (kind: Kind, issuer: RunningIssuer, at: number) => Promise<void>) {
  await Promise.all(
    kinds.map(async (kind, at) => {
      try {
        await check(kind, issuers.get(kind.name) as RunningIssuer, at)
      } catch (error) {
        const said = system.running.logs.slice(-1_500)
        const peer = issuers.get(kind.name)?.logs.slice(-500)
        throw new Error(`${kind.name}: ${(error as Error).message}\n${said}\n${peer}`, {
          cause: error,
        })
      }
    }),
  )
}

test('a payment in all its steps, at an issuer of each kind', async () => {
  await forEach(async ({ name, bin }, issuer, at) => {
    const amount = 10_000 + at
    const request = { ...purchase(at, amount, bin), type: 'preauthorization' }
    const { body } = await system.post(`pay-${name}`, request)
    assert.deepEqual([body.outcome, body.responseCode], ['approved', '00'])
    const increased = await system.step(body.id, 'increments', `inc-${name}`, { amount: 500 })
    assert.equal(increased.body.outcome, 'approved', JSON.stringify(increased.body))
    await system.step(body.id, 'captures', `cap-${name}`, { amount: 4_000 })
    const refunded = await system.step(body.id, 'refunds', `ref-${name}`, { amount: 1_000 })
    assert.equal(refunded.body.outcome, 'approved', JSON.stringify(refunded.body))
    const released = await system.step(body.id, 'reversals', `rev-${name}`, { amount: 1_000 })
    assert.equal(released.status, 200, JSON.stringify(released.body))
    await eventually(async () => {
      const [entry] = await entriesOf(issuer, amount)
      assert.equal(entry?.approvalCode, body.approvalCode)
      assert.deepEqual(
        entry?.captures.map((capture) => [capture.amount, capture.responseCode]),
        [[4_000, '00']],
      )
      assert.deepEqual(
        entry?.reversals.map(({ releasedAmount }) => releasedAmount),
        [1_000],
      )
      assert.equal(entry?.steps.length, 2)
    })
  })
})

test('no answer in time: declined 91, and one reversal in the numbers that we sent', async () => {
  await forEach(async ({ name, bin }, issuer, at) => {
    const amount = 20_000 + at
    await issuer.setBehaviour({ delayMs: timeoutMs + 500 })
    const { body } = await system.post(`late-${name}`, purchase(100 + at, amount, bin))
    assert.deepEqual([body.outcome, body.responseCode], ['declined', '91'])
    await issuer.setBehaviour({ delayMs: 0 })
    await eventually(async () => {
      const [entry] = await entriesOf(issuer, amount)
      assert.deepEqual(
        entry?.reversals.map(({ effective }) => effective),
        [true],
      )
    }, 30_000)
  })
})

test('an answer of another amount reaches nobody, and its approval is reversed', async () => {
  await forEach(async ({ name, bin }, issuer, at) => {
    const amount = 30_000 + at
    await issuer.setBehaviour({ wrongAmountPercent: 100 })
    const { body } = await system.post(`wrong-${name}`, purchase(200 + at, amount, bin))
    assert.equal(body.outcome, 'declined')
    await issuer.setBehaviour({ wrongAmountPercent: 0 })
    await eventually(async () => {
      const [entry] = await entriesOf(issuer, amount)
      assert.equal(entry?.reversals.filter(({ effective }) => effective).length, 1)
    }, 30_000)
  })
})

test('an issuer that is gone: declined 91', async () => {
  await forEach(async ({ name, bin }, issuer, at) => {
    await issuer.kill('SIGKILL')
    const { body } = await system.post(`gone-${name}`, purchase(300 + at, 40_000 + at, bin))
    assert.deepEqual([body.outcome, body.responseCode], ['declined', '91'])
  })
})
