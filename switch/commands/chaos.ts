// `switchyard chaos`: hands over to the chaos run, which starts and kills processes of its own. It
// reads its options itself.

import type { Command } from 'commander'
import { runApart } from './run-tool.ts'

export function registerChaos(program: Command): void {
  program
    .command('chaos')
    .description('strike real processes under load and audit the books (--help lists its options)')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[options...]', 'options of the chaos run')
    .action(async (options: readonly string[]) => {
      process.exitCode = await runApart('load-tests/chaos/main.ts', options)
    })
}
