// `switchyard <command>`. Only the module of the command that was named is loaded, so that
// `switchyard --help` answers at once and a broken optional part breaks its own command alone.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Command, CommanderError } from 'commander'
import { PROJECT_ROOT } from './run-tool.ts'

type Register = (program: Command) => void

interface CommandEntry {
  readonly summary: string
  /** For the help of a group; commands without others below them bring their own. */
  readonly example?: string
  /** `named` is the word after the command: a group may load the part that it names alone. */
  readonly load: (named: string | undefined) => Promise<Register>
}

const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  start: {
    summary: 'run the switch (the shipped configuration with two demo issuers)',
    load: async () => (await import('./start.ts')).registerStart,
  },
  doctor: {
    summary: 'check this machine and configuration, and say what to do',
    load: async () => (await import('./doctor.ts')).registerDoctor,
  },
  rules: {
    summary: 'lint, test, backtest, explain and roll back rules',
    example: 'rules lint',
    load: async (part) => (await import('./rules.ts')).loadRules(part),
  },
  model: {
    summary: 'train and check the risk model',
    example: 'model check',
    load: async () => (await import('./model.ts')).registerModel,
  },
  velocity: {
    summary: 'show, rebuild and verify the counters that rules and model read',
    example: 'velocity show merchant=demo/M-1001',
    load: async () => (await import('./velocity.ts')).registerVelocity,
  },
  iso8583: {
    summary: 'decode, encode and describe ISO 8583 messages',
    example: 'iso8583 decode --help',
    load: async () => (await import('./iso8583.ts')).registerIso8583,
  },
  store: {
    summary: 'verify, count and export the transaction store',
    example: 'store stats',
    load: async () => (await import('./store.ts')).registerStore,
  },
  queue: {
    summary: 'list what waits for an issuer, and send dead letters again',
    example: 'queue list --dead',
    load: async () => (await import('./queue.ts')).registerQueue,
  },
  keys: {
    summary: 'make and check the key file',
    example: 'keys check',
    load: async () => (await import('./keys.ts')).registerKeys,
  },
  'load-test': {
    summary: 'offer load at a fixed rate and balance the books',
    load: async () => (await import('./load-test.ts')).registerLoadTest,
  },
  simulate: {
    summary: 'run the whole switch in virtual time, with faults by seed',
    load: async () => (await import('./simulate.ts')).registerSimulate,
  },
  chaos: {
    summary: 'strike real processes under load and audit the books',
    load: async () => (await import('./chaos.ts')).registerChaos,
  },
  bench: {
    summary: 'measure the hot functions',
    load: async () => (await import('./bench.ts')).registerBench,
  },
  lint: {
    summary: 'check formatting, lint rules and the rules of the house',
    load: async () => (await import('./lint.ts')).registerLint,
  },
  typecheck: {
    summary: 'check the types of the whole tree',
    load: async () => (await import('./typecheck.ts')).registerTypecheck,
  },
  test: {
    summary: 'run every test, fast ones first',
    load: async () => (await import('./test.ts')).registerTest,
  },
}

/** Runs one command. Sets `process.exitCode`: 0 fine, 1 found something, 2 wrong use. */
export async function runCommand(given: readonly string[]): Promise<void> {
  // `switchyard help rules` is `switchyard rules --help`.
  const [, , first, second] = given
  const argv =
    first === 'help' && second !== undefined ? [...given.slice(0, 2), second, '--help'] : given
  const program = new Command('switchyard')
    .description('A payment switch that scores every authorization for fraud.')
    .addHelpText('after', '\nExample:\n  $ npx switchyard start\n  $ npx switchyard rules lint')
    .version(version(), '-V, --version', 'print the version')
    .exitOverride()
  const named = COMMANDS[argv[2] ?? '']
  if (named !== undefined) {
    const register = await named.load(argv[3] === 'help' ? argv[4] : argv[3])
    register(program)
    if (named.example !== undefined) {
      const text = `\nExample:\n  $ npx switchyard ${named.example}`
      program.commands[0]?.addHelpText('after', text)
    }
    for (const command of everyCommand(program)) command.exitOverride()
  } else {
    for (const [name, entry] of Object.entries(COMMANDS)) {
      program.command(name).summary(entry.summary).description(entry.summary)
    }
  }
  if (argv.length <= 2) {
    program.outputHelp()
    process.exitCode = 2
    return
  }
  try {
    await program.parseAsync([...argv])
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? 0 : 2
  }
}

function version(): string {
  const text = readFileSync(path.join(PROJECT_ROOT, 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

function* everyCommand(command: Command): Generator<Command> {
  for (const child of command.commands) {
    yield child
    yield* everyCommand(child)
  }
}
