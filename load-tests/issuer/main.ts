// An issuer simulator as a process:
//
//   node --import tsx load-tests/issuer/main.ts --name demo-a --port 9101 --behaviour approve
//
// One line of JSON on standard output says where it listens; another, at its end, what it did.

import { randomBytes } from 'node:crypto'
import { fstatSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Dialect, loadDialect, printDialectProblem } from '#switch'
import { type Behaviour, changeBehaviour, wellBehaved } from './behaviour.ts'
import { listenForControl } from './control.ts'
import { Ledger } from './ledger.ts'
import { LedgerFile } from './ledger-file.ts'
import { Simulator } from './simulator.ts'

const usage = `Usage: node --import tsx load-tests/issuer/main.ts [options]

  --name NAME            as in the switch's configuration (issuer)
  --port N               ISO 8583 over TCP on 127.0.0.1; 0, the default: any free port
  --control-port N       HTTP: /ledger /ledger/summary /behaviour; 0, the default: any free port
  --behaviour WORD|JSON  approve (the default), cents, decline, or an object with faults:
                         delayMs latePercent lateMs duplicatePercent reorderPercent
                         silentPercent losePercent dropPercent faultyReversals
  --ledger FILE          NDJSON; one that exists is read back
  --seed N               of the faults (1)

Example:
  node --import tsx load-tests/issuer/main.ts --name demo-b --port 9102 --behaviour cents
`

interface Options {
  readonly name: string
  readonly port: number
  readonly controlPort: number
  readonly behaviour: Behaviour
  readonly ledgerFile: string | undefined
  readonly seed: number
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
  return { name: String(values.name), port, controlPort, behaviour, ledgerFile, seed }
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
    dialect: readDialect(),
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
      },
    },
    options.controlPort,
  )
  const port = await simulator.listen(options.port)
  say({ ready: true, name: options.name, port, controlPort: control.port, pid: process.pid })
  let isStopped = false
  const stop = () => {
    if (isStopped) return
    isStopped = true
    process.stdin.destroy()
    simulator.close()
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

/** The dialect that the switch's own links speak by default. */
function readDialect(): Dialect {
  const name = 'iso8583-1987-ascii'
  const file = new URL(`../../switch/iso8583/dialects/${name}.yaml`, import.meta.url)
  const result = loadDialect(readFileSync(file, 'utf8'), name)
  if (!result.ok) throw new Error(result.problems.map(printDialectProblem).join('\n'))
  return result.dialect
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

await main()
