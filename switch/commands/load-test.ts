// `switchyard load-test`: hands over to the load driver, which is a process of its own so that its
// work is not counted as the switch's. It reads its options itself.

import type { Command } from 'commander'
import { runApart } from './run-tool.ts'

export function registerLoadTest(program: Command): void {
  program
    .command('load-test')
    .description('offer load at a fixed rate and balance the books (--help lists its options)')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[options...]', 'options of the load driver')
    .action(async (options: readonly string[]) => {
      process.exitCode = await runApart('load-tests/main.ts', options)
    })
}
