// `switchyard lint`: Biome, then the rules of the house that Biome has no word for.

import type { Command } from 'commander'
import { checkHouse } from './house.ts'
import { PROJECT_ROOT, runNode, toolPath } from './run-tool.ts'

export function registerLint(program: Command): void {
  program
    .command('lint')
    .description('check formatting, lint rules and the rules of the house')
    .option('--fix', 'let Biome mend what it can')
    .addHelpText('after', '\nExample:\n  $ npx switchyard lint --fix')
    .action(async (options: { fix?: boolean }) => {
      const biome = [toolPath('@biomejs/biome', 'biome'), 'check', '--error-on-warnings']
      const code = await runNode([...biome, ...(options.fix ? ['--write'] : []), '.'])
      const problems = checkHouse(PROJECT_ROOT)
      for (const problem of problems) {
        console.log(`${problem.file}:${problem.line} ${problem.rule} ${problem.message}`)
      }
      process.exitCode = code === 0 && problems.length === 0 ? 0 : 1
    })
}
