// What an acquirer sends for its issuer's eyes only: it arrives there, the issuer's word for the
// terminal comes back, and none of it is in a store or a log. The issuer here is a small one of its
// own, because the demo issuers don't look at such fields.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import path from 'node:path'
import test, { after, before } from 'node:test'
import {
  createFraming,
  type Dialect,
  defaultFraming,
  type FieldValue,
  type IsoMessage,
  loadDialect,
} from '#switch'
import { scanFolder } from '../pan-scan.ts'
import { type IsoClient, openIsoClient } from '../processes/index.ts'
import { ask, isoRequest, repeatOf } from './acquirer.ts'
import { purchase, type System, startSystem } from './system.ts'

const preset = 'iso8583-1987-ascii'
const dialect = readPreset()
const framing = createFraming(defaultFraming)

const PIN_BLOCK = '1C2D3E4F5A6B7C8D'
const SECURITY = '2001010100000000'
const SCRIPT = new Map([
  ['91', '0A1B2C3D4E5F60713030'],
  ['72', '9F180400000001860E8424000008D0D1D2D3D4D5D6D7'],
])
const BALANCE = '0001978C000000123456'

const asked: IsoMessage[] = []
let server: Server
let system: System
let client: IsoClient

before(async () => {
  server = createServer((socket) => {
    const splitter = framing.createSplitter(
      (payload) => {
        const decoded = dialect.decode(payload)
        assert.ok(decoded.ok)
        const answer = framing.encode(bytesOf(answerTo(decoded.message)))
        assert.ok(answer.ok)
        socket.write(answer.bytes)
      },
      () => socket.destroy(),
    )
    socket.on('data', (bytes) => splitter.push(bytes))
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const peer = { acquirer: 'demo', addresses: ['127.0.0.1'], name: 'one' }
  const listener = { host: '127.0.0.1', port: 0, name: 'ascii', dialect: preset, peers: [peer] }
  const issuer = { name: 'chip', host: '127.0.0.1', port, dialect: preset, timeoutMs: 8_000 }
  system = await startSystem({
    config: {
      iso: { listeners: [listener] },
      issuers: [issuer],
      routes: [{ bins: ['476173'], issuer: 'chip' }],
    },
  })
  client = await openIsoClient({ port: system.running.isoPorts.ascii ?? 0 })
})
after(async () => {
  client?.destroy()
  await system?.stop()
  server?.close()
})

function readPreset(): Dialect {
  const file = new URL(`../../switch/iso8583/dialects/${preset}.yaml`, import.meta.url)
  const loaded = loadDialect(readFileSync(file, 'utf8'), preset)
  assert.ok(loaded.ok)
  return loaded.dialect
}

function bytesOf(message: IsoMessage): Uint8Array {
  const encoded = dialect.encode(message)
  assert.ok(encoded.ok, JSON.stringify(encoded))
  return encoded.bytes
}

function answerTo(message: IsoMessage): IsoMessage {
  const fields: (FieldValue | undefined)[] = []
  for (const field of [2, 3, 4, 7, 11, 32, 37, 41, 42, 49, 70]) {
    fields[field] = message.fields[field]
  }
  fields[39] = '00'
  if (message.mti.startsWith('01')) {
    asked.push(message)
    fields[38] = 'A1B2C3'
    fields[54] = BALANCE
    fields[55] = SCRIPT
  }
  return { mti: `${message.mti.slice(0, 2)}${Number(message.mti[2]) + 1}0`, fields }
}

test('PIN, tracks, chip data and control go through; scripts and balances come back', async () => {
  const { pan } = purchase(8001, 1).card
  const track2 = `${pan}=29122011143878089`
  const track1 = `B${pan}^CARD/TEST^29122011143878089`
  const chip = new Map([
    ['57', `${pan}D29122011143878089`],
    ['5A', pan],
    ['9F26', '0011223344556677'],
    ['9F27', '80'],
    ['82', '3900'],
  ])
  const request = isoRequest(8001, 8001, {
    23: '001',
    35: track2,
    45: track1,
    52: PIN_BLOCK,
    53: SECURITY,
    55: chip,
  })
  const answer = await ask(client, request)
  assert.deepEqual([answer.mti, answer.fields[39], answer.fields[38]], ['0110', '00', 'A1B2C3'])
  assert.deepEqual(answer.fields[55], SCRIPT)
  assert.equal(answer.fields[54], BALANCE)
  for (const field of [14, 23, 35, 45, 52, 53]) assert.equal(answer.fields[field], undefined)
  const [message, ...more] = asked
  assert.deepEqual(more, [])
  const came = [23, 35, 45, 52, 53].map((field) => message?.fields[field])
  assert.deepEqual(came, ['001', track2, track1, PIN_BLOCK, SECURITY])
  assert.deepEqual(message?.fields[55], chip)
  // The first answer again, but for what was not kept.
  const again = await ask(client, repeatOf(request))
  assert.equal(again.fields[38], 'A1B2C3')
  assert.equal(again.fields[55], undefined)
  assert.equal(asked.length, 1)
})

test('nothing of it is in a store or a log', async () => {
  const { pan } = purchase(8001, 1).card
  await system.running.stop()
  const { findings, files } = await scanFolder(system.running.dataDir)
  assert.ok(files > 0)
  assert.deepEqual(findings, [])
  const secrets = [pan, PIN_BLOCK, '29122011143878089', '0011223344556677', 'D0D1D2D3D4D5D6D7']
  const log = readFileSync(path.join(system.folder, 'switch.log'))
  const stored = await filesBelow(system.running.dataDir)
  for (const bytes of [log, ...stored]) {
    for (const secret of secrets) {
      assert.ok(!bytes.includes(secret), 'as text')
      assert.ok(
        !bytes.includes(Buffer.from(secret.padEnd(18, '0'), 'hex').subarray(0, 8)),
        'packed',
      )
    }
  }
})

async function filesBelow(folder: string): Promise<Buffer[]> {
  const { readdir, readFile } = await import('node:fs/promises')
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return Promise.all(files.map((entry) => readFile(path.join(entry.path, entry.name))))
}
