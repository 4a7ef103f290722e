// An issuer simulator as a process:
//
//   node --import tsx load-tests/issuer/main.ts --name demo-a --port 9101 --behaviour approve
//
// One line of JSON on standard output says where it listens; another, at its end, what it did.

import { randomBytes } from 'node:crypto'
import { fstatSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import {
  type Dialect,
  type FramingSpec,
  MAC_ALGORITHMS,
  type MacKey,
  macKeyProblem,
  printDialectProblem,
} from '#switch'
import { readDialect } from '../../switch/adapters/dialect-files.ts'
import { type Behaviour, changeBehaviour, wellBehaved } from './behaviour.ts'
import { listenForControl } from './control.ts'
import { listenForHttp } from './http-listener.ts'
import { Ledger } from './ledger.ts'
import { LedgerFile } from './ledger-file.ts'
import { type ServerTls, Simulator } from './simulator.ts'

const usage = `Usage: node --import tsx load-tests/issuer/main.ts [options]

  --name NAME            as in the switch's configuration (issuer)
  --port N               on 127.0.0.1; 0, the default: any free port
  --dialect NAME|FILE    of any edition (iso8583-1987-ascii)
  --framing JSON         as in the switch's configuration ({"encoding":"binary","bytes":2})
  --mac ALGORITHM:HEX    DE64 and DE128, set and checked: x9.19, aes-cmac, hmac-sha256
  --http                 JSON by HTTP on that port instead of ISO 8583 (switch/docs/issuers.md)
  --http-key ID:BASE64   of signed requests; absent: signatures are not looked at
  --tls CERT,KEY[,CA]    PEM files; with CA clients must show a certificate
  --control-port N       0, the default: any free port
  --behaviour WORD|JSON  approve (the default), cents, decline, or an object with faults:
                         answers delayMs latePercent lateMs duplicatePercent reorderPercent
                         silentPercent losePercent dropPercent partialPercent
                         wrongAmountPercent refuseAdvices flapMs isClosed faultyReversals
  --ledger FILE          NDJSON; one that exists is read back
  --seed N               of the faults (1)

The control port, HTTP on 127.0.0.1:
  GET  /ledger?after=N   NDJSON: requests after that number, with reversals and captures
  GET  /ledger/summary   counts, and CPU a message
  GET  /behaviour        as it is now
  POST /behaviour        a part of it to change, as JSON: {"latePercent":10,"lateMs":900}

Slow is delayMs; dead is isClosed (ISO 8583), losePercent 100, or kill; paused is kill -STOP;
flapping is flapMs.

Examples:
  node --import tsx load-tests/issuer/main.ts --name demo-b --port 9102 --behaviour cents
  node --import tsx load-tests/issuer/main.ts --dialect visa-base1 --behaviour '{"latePercent":5,"lateMs":900}'
  node --import tsx load-tests/issuer/main.ts --http --http-key switch:$(openssl rand -base64 32)
`

interface Options {
  readonly name: string
  readonly port: number
  readonly controlPort: number
  readonly behaviour: Behaviour
  readonly ledgerFile: string | undefined
  readonly seed: number
  readonly dialect: Dialect
  readonly framing: FramingSpec | undefined
  readonly mac: MacKey | undefined
  readonly isHttp: boolean
  readonly httpKey: { readonly keyId: string; readonly secret: Uint8Array } | undefined
  readonly tls: ServerTls | undefined
}

function readOptions(args: readonly string[]): Options | string {
  let values: Record<string, string | boolean | undefined>
  try {
    values = parseArgs({
      args: [...args],
      options: {
        name: { type: 'string', default: 'issuer' },
        port: { type: 'string', default: '0' },
        'control-port': { type: 'string', default: '0' },
        behaviour: { type: 'string', default: 'approve' },
        ledger: { type: 'string' },
        seed: { type: 'string', default: '1' },
        dialect: { type: 'string', default: 'iso8583-1987-ascii' },
        framing: { type: 'string' },
        mac: { type: 'string' },
        http: { type: 'boolean', default: false },
        'http-key': { type: 'string' },
        tls: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    return (error as Error).message
  }
  if (values.help === true) return ''
  const behaviour = readBehaviour(String(values.behaviour))
  if (typeof behaviour === 'string') return behaviour
  const port = Number(values.port)
  const controlPort = Number(values['control-port'])
  for (const number of [port, controlPort]) {
    if (!Number.isInteger(number) || number < 0 || number > 65_535) return 'ports are 0 to 65535'
  }
  const seed = Number(values.seed)
  if (!Number.isInteger(seed)) return '--seed takes a whole number'
  const ledgerFile = typeof values.ledger === 'string' ? values.ledger : undefined
  const line = readLine(values)
  if (typeof line === 'string') return line
  return { name: String(values.name), port, controlPort, behaviour, ledgerFile, seed, ...line }
}

type Line = Pick<Options, 'dialect' | 'framing' | 'mac' | 'isHttp' | 'httpKey' | 'tls'>

/** How it is reached, or what is wrong with that. No message repeats a key. */
function readLine(values: Readonly<Record<string, string | boolean | undefined>>): Line | string {
  const dialect = readDialect(String(values.dialect))
  if (!dialect.ok) return dialect.problems.map(printDialectProblem).join('\n')
  let framing: FramingSpec | undefined
  try {
    framing = values.framing === undefined ? undefined : JSON.parse(String(values.framing))
  } catch {
    return '--framing is not readable JSON'
  }
  const [algorithm = '', hex = ''] = String(values.mac ?? '').split(':')
  const mac = { algorithm: algorithm as MacKey['algorithm'], key: Buffer.from(hex, 'hex') }
  if (values.mac !== undefined) {
    if (!(MAC_ALGORITHMS as readonly string[]).includes(algorithm)) {
      return `--mac begins with one of ${MAC_ALGORITHMS.join(', ')}`
    }
    const problem = macKeyProblem(mac)
    if (problem !== undefined) return `--mac: ${problem}`
  }
  const [keyId = '', secret = ''] = String(values['http-key'] ?? '').split(':')
  const [cert, key, ca] = String(values.tls ?? '').split(',')
  try {
    return {
      dialect: dialect.dialect,
      framing,
      mac: values.mac === undefined ? undefined : mac,
      isHttp: values.http === true,
      httpKey: keyId === '' ? undefined : { keyId, secret: Buffer.from(secret, 'base64') },
      tls: cert && key ? readTls(cert, key, ca) : undefined,
    }
  } catch (error) {
    return `--tls: ${(error as Error).message}`
  }
}

function readTls(cert: string, key: string, ca: string | undefined): ServerTls {
  const read = (file: string) => readFileSync(file, 'utf8')
  return { cert: read(cert), key: read(key), ...(ca === undefined ? {} : { ca: read(ca) }) }
}

function readBehaviour(text: string): Behaviour | string {
  let change: unknown = { answers: text }
  if (text.startsWith('{')) {
    try {
      change = JSON.parse(text)
    } catch {
      return '--behaviour is not readable JSON'
    }
  }
  const result = changeBehaviour(wellBehaved, change)
  return result.ok ? result.behaviour : result.message
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  if (typeof options === 'string') {
    process.stderr.write(options === '' ? usage : `${options}\n\n${usage}`)
    process.exitCode = options === '' ? 0 : 2
    return
  }
  const past = options.ledgerFile === undefined ? '' : LedgerFile.read(options.ledgerFile)
  let file: LedgerFile | undefined
  const ledger = new Ledger({
    append: (line) => file?.append(line),
    tokenKey: randomBytes(32),
    approvalCodeStart: randomBytes(4).readUInt32BE(),
  })
  const { cutBytes } = ledger.replay(past)
  if (options.ledgerFile !== undefined) {
    if (cutBytes > 0) {
      process.stderr.write(`ledger: cut a torn last line of ${cutBytes} bytes\n`)
      LedgerFile.cut(options.ledgerFile, Buffer.byteLength(past) - cutBytes)
    }
    file = LedgerFile.open(options.ledgerFile)
  }
  const simulator = new Simulator({
    ledger,
    flushLedger: () => file?.flush(),
    dialect: options.dialect,
    ...(options.framing === undefined ? {} : { framing: options.framing }),
    ...(options.mac === undefined ? {} : { mac: options.mac }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    behaviour: options.behaviour,
    seed: options.seed,
  })
  const cpuAtStart = process.cpuUsage()
  const status = () => statusOf(options.name, simulator, ledger, cpuAtStart)
  const control = await listenForControl(
    {
      ledger,
      status,
      get behaviour() {
        return simulator.behaviour
      },
      set behaviour(behaviour) {
        simulator.behaviour = behaviour
        simulator.flap()
      },
    },
    options.controlPort,
  )
  simulator.flap()
  const http = options.isHttp ? await listenByHttp(options, simulator, file) : undefined
  const port = http?.port ?? (await simulator.listen(options.port))
  say({ ready: true, name: options.name, port, controlPort: control.port, pid: process.pid })
  let isStopped = false
  const stop = () => {
    if (isStopped) return
    isStopped = true
    process.stdin.destroy()
    simulator.close()
    http?.server.close()
    http?.server.closeAllConnections()
    control.server.close()
    control.server.closeAllConnections()
    file?.close()
    say({ stopped: true, ...status() })
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  endWithParent(stop)
}

/**
 * A Node.js parent that spawned this with a pipe for standard input takes it along when it ends,
 * even by SIGKILL. Such a pipe is a socket; a shell's pipe, a terminal or /dev/null says nothing.
 */
function endWithParent(stop: () => void): void {
  if (!fstatSync(0).isSocket()) return
  process.stdin.resume().once('end', stop).once('error', stop)
}

function statusOf(
  name: string,
  simulator: Simulator,
  ledger: Ledger,
  cpuAtStart: NodeJS.CpuUsage,
): object {
  const counts = simulator.counts()
  const { user, system } = process.cpuUsage(cpuAtStart)
  return {
    name,
    pid: process.pid,
    ...counts,
    ...ledger.summary(),
    cpuMicrosPerMessage: counts.messages === 0 ? 0 : (user + system) / counts.messages,
  }
}

function listenByHttp(options: Options, simulator: Simulator, file: LedgerFile | undefined) {
  const { httpKey: key, tls, port } = options
  const flushLedger = () => file?.flush()
  const shared = { simulator, flushLedger }
  return listenForHttp(
    { ...shared, ...(key === undefined ? {} : { key }), ...(tls === undefined ? {} : { tls }) },
    port,
  )
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

await main()
