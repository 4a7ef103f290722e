// `switchyard test`: every test file, unit and property tests first, then those against real
// processes. The files are listed here, since `node --test` without files finds none and passes.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Command } from 'commander'
import { PROJECT_ROOT, runNode } from './run-tool.ts'

const FOLDERS = ['rules', 'scoring', 'switch', 'bench', 'load-tests']
/** One test file at most this long; a hung one must not hold up the rest. */
const FILE_TIMEOUT_MS = 300_000

interface Counts {
  passed: number
  failed: number
  skipped: number
}

export function registerTest(program: Command): void {
  program
    .command('test')
    .description('run every test, fast ones first; installs what they need where it can')
    .argument('[filter...]', 'only files whose path contains one of these')
    .addHelpText(
      'after',
      '\nExample:\n  $ npx switchyard test\n  $ npx switchyard test velocity rules/',
    )
    .action(async (filters: string[]) => {
      process.exitCode = await runTests(filters)
    })
}

async function runTests(filters: readonly string[]): Promise<number> {
  const files = testFiles().filter(
    (file) => filters.length === 0 || filters.some((filter) => file.includes(filter)),
  )
  if (files.length === 0) {
    console.error('no test file matches: nothing was tested')
    return 2
  }
  for (const note of provideServers()) console.error(note)
  const endToEnd = files.filter((file) => file.startsWith('load-tests/e2e/'))
  const unit = files.filter((file) => !file.startsWith('load-tests/e2e/'))
  const total: Counts = { passed: 0, failed: 0, skipped: 0 }
  // End-to-end files start whole systems: one at a time, so that their clocks mean something.
  await runGroup(unit, 2, total)
  await runGroup(endToEnd, 1, total)
  const skipped = total.skipped === 0 ? '' : `, ${total.skipped} skipped`
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`)
  return total.failed === 0 && total.passed > 0 ? 0 : 1
}

async function runGroup(files: readonly string[], concurrency: number, total: Counts) {
  if (files.length === 0) return
  const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-test-'))
  const tap = path.join(folder, 'result.tap')
  try {
    const code = await runNode([
      '--import',
      import.meta.resolve('tsx'),
      '--test',
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${FILE_TIMEOUT_MS}`,
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      '--test-reporter=tap',
      `--test-reporter-destination=${tap}`,
      ...files,
    ])
    const counts = readCounts(readFileSync(tap, 'utf8'))
    // A runner that fails without a failed test (it crashed) counts as one.
    total.failed += Math.max(counts.failed, code === 0 ? 0 : 1)
    total.passed += counts.passed
    total.skipped += counts.skipped
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Reads the closing comments of a TAP report: `# pass 12`. */
function readCounts(tap: string): Counts {
  const count = (name: string) => Number(tap.match(new RegExp(`^# ${name} (\\d+)$`, 'm'))?.[1] ?? 0)
  return {
    passed: count('pass'),
    failed: count('fail') + count('cancelled'),
    skipped: count('skipped'),
  }
}

function testFiles(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(path.join(PROJECT_ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts') && !name.includes('node_modules'))
      .map((name) => path.join(folder, name))
      .sort(),
  )
}

/** Installs the servers that tests start, where that is possible. Returns what to tell. */
function provideServers(): string[] {
  const notes: string[] = []
  const needed = [
    { program: 'redis-server', package: 'redis-server' },
    { program: 'strace', package: 'strace' },
    { program: 'chromium', package: 'chromium' },
    { program: 'postgres', package: 'postgresql' },
    { program: 'promtool', package: 'prometheus' },
  ].filter(({ program }) => !isInstalled(program))
  if (needed.length === 0) return notes
  const names = needed.map((one) => one.package)
  if (process.getuid?.() === 0 && isInstalled('apt-get')) {
    notes.push(`installing for the tests: ${names.join(', ')}`)
    const options = {
      stdio: 'ignore' as const,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    }
    spawnSync('apt-get', ['update', '-qq'], options)
    // `--no-install-recommends`, and no service started by the package: tests start their own.
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], options)
  }
  for (const { program } of needed) {
    if (!isInstalled(program)) {
      notes.push(`${program} is not installed: the suites that need it are skipped, by name`)
    }
  }
  return notes
}

function isInstalled(program: string): boolean {
  // Debian keeps the servers of PostgreSQL beside the PATH.
  const look = `command -v ${program} || ls /usr/lib/postgresql/*/bin/${program}`
  return spawnSync('sh', ['-c', look], { stdio: 'ignore' }).status === 0
}
