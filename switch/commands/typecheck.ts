import type { Command } from 'commander'
import { runNode, toolPath } from './run-tool.ts'

/** `switchyard typecheck`: TypeScript over the whole tree, nothing emitted. */
export function registerTypecheck(program: Command): void {
  program
    .command('typecheck')
    .description('check the types of the whole tree')
    .addHelpText('after', '\nExample:\n  $ npx switchyard typecheck')
    .action(async () => {
      process.exitCode = await runNode([toolPath('typescript', 'tsc'), '-p', '.'])
    })
}
