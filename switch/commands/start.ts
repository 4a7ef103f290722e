// `switchyard start`: the switch, with two demo issuers unless told otherwise.

import type { Command } from 'commander'
import { readConfigFile } from '../adapters/config-files.ts'
import { type Config, maskConfig } from '../config/index.ts'
import { startSwitch } from '../main.ts'
import { curlLines, type Demo, startDemo } from './demo.ts'

interface StartFlags {
  readonly demo: boolean
  readonly printConfig?: boolean
}

export function registerStart(program: Command): void {
  program
    .command('start')
    .description('run the switch')
    .option('--no-demo', 'without the two demo issuers')
    .option('--print-config', 'print the configuration in force, secrets masked, and end')
    .addHelpText(
      'after',
      '\nExample:\n  $ switchyard start\n  $ PORT=9000 switchyard start --no-demo',
    )
    .action(async (flags: StartFlags) => {
      // Everything is closed by then; a handle that someone forgot must not keep the process.
      process.exit(await start(flags))
    })
}

async function start(flags: StartFlags): Promise<number> {
  const startedMs = performance.now()
  const read = readConfigFile(process.env)
  if (!read.ok) {
    for (const problem of read.problems) console.error(`${read.file}: ${problem}`)
    return 2
  }
  if (flags.printConfig) {
    console.log(JSON.stringify(maskConfig(read.config), null, 2))
    return 0
  }
  const demo = flags.demo ? await startDemo(read.config.dataDir) : undefined
  const config = demo === undefined ? read.config : withDemoPorts(read.config, demo)
  const result = await startSwitch(config, process.env)
  if (!result.ok) {
    demo?.stop()
    for (const problem of result.problems) console.error(problem)
    return 1
  }
  const { running } = result
  // The demo issuers outlive the drain: an authorization in flight still gets its answer.
  void running.ended.then(() => demo?.stop())
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  console.log(`Switchyard is ready after ${seconds} s.`)
  for (const [name, value] of running.facts) console.log(`  ${name.padEnd(12)} ${value}`)
  if (demo !== undefined) console.log(`\nTry:\n\n${curlLines(running.url)}`)
  return running.ended
}

/** The configuration with the demo issuers at the ports that they found free. */
function withDemoPorts(config: Config, demo: Demo): Config {
  return {
    ...config,
    issuers: config.issuers.map((issuer) => ({
      ...issuer,
      port: demo.ports.get(issuer.name) ?? issuer.port,
    })),
  }
}
