// `switchyard load-test`: hands over to the load driver, which is a process of its own so that its
// work is not counted as the switch's. It reads its options itself.

import { spawn } from 'node:child_process'
import type { Command } from 'commander'
import { PROJECT_ROOT } from './run-tool.ts'

export function registerLoadTest(program: Command): void {
  program
    .command('load-test')
    .description('offer load at a fixed rate and balance the books (--help lists its options)')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[options...]', 'options of the load driver')
    .action(async (options: readonly string[]) => {
      process.exitCode = await runDriver(options)
    })
}

/** Resolves with the driver's exit code. Ctrl-C is the driver's: it still reports. */
function runDriver(options: readonly string[]): Promise<number> {
  const driver = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), 'load-tests/main.ts', ...options],
    { cwd: PROJECT_ROOT, stdio: 'inherit' },
  )
  const outlive = () => undefined
  const pass = () => driver.kill('SIGTERM')
  process.on('SIGINT', outlive)
  process.on('SIGTERM', pass)
  return new Promise((resolve, reject) => {
    driver.once('error', reject)
    driver.once('exit', (code) => {
      process.off('SIGINT', outlive)
      process.off('SIGTERM', pass)
      resolve(code ?? 1)
    })
  })
}
