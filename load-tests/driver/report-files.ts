// The files of a report: report.json, report.html, report.png where a Chromium is found, and
// latency.hgrm, as HdrHistogram's own tools plot it.

import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { cpus, release, totalmem } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import type { Histogram } from 'hdr-histogram-js'
import { projectFolder } from '../processes/index.ts'
import type { LoadReport } from './report.ts'
import { reportPage } from './report-page.ts'

const run = promisify(execFile)

/** When, where and of what a report was made. */
export interface Made {
  /** ISO 8601. */
  readonly at: string
  /** With a `+` where files were changed since. */
  readonly commit: string
  readonly machine: string
  readonly node: string
  /** The command line. */
  readonly command: string
}

/** report.json. */
export interface SavedReport {
  readonly made: Made
  readonly report: LoadReport
  readonly percentiles: readonly { readonly percentile: number; readonly ms: number }[]
}

export async function describeRun(args: readonly string[]): Promise<Made> {
  const [first] = cpus()
  const gigabytes = Math.round(totalmem() / 2 ** 30)
  return {
    at: new Date().toISOString(),
    commit: await commitNow(),
    machine: `${cpus().length} x ${first?.model.trim()}, ${gigabytes} GiB, Linux ${release()}`,
    node: process.version,
    command: `switchyard load-test ${args.join(' ')}`,
  }
}

async function commitNow(): Promise<string> {
  try {
    const git = (args: readonly string[]) => run('git', args, { cwd: projectFolder })
    const { stdout: commit } = await git(['rev-parse', '--short=12', 'HEAD'])
    const { stdout: changes } = await git(['status', '--porcelain', '--untracked-files=no'])
    return `${commit.trim()}${changes === '' ? '' : '+'}`
  } catch {
    return 'not known: no git'
  }
}

/** Writes the files; the names of those that were written, and why one was not. */
export async function writeReport(
  folder: string,
  report: LoadReport,
  latencyMicros: Histogram,
  made: Made,
): Promise<{ readonly files: readonly string[]; readonly notes: readonly string[] }> {
  await mkdir(folder, { recursive: true })
  const saved: SavedReport = { made, report, percentiles: percentilesOf(latencyMicros) }
  const write = (name: string, text: string) => writeFile(path.join(folder, name), text)
  const html = path.resolve(folder, 'report.html')
  await write('report.json', `${JSON.stringify(saved)}\n`)
  await write('report.html', reportPage(saved))
  await write('latency.hgrm', latencyMicros.outputPercentileDistribution(5, 1000, false))
  const files = ['report.html', 'report.json', 'latency.hgrm']
  const problem = await drawPage(html, path.resolve(folder, 'report.png'))
  if (problem === undefined) files.push('report.png')
  return { files, notes: problem === undefined ? [] : [`no report.png: ${problem}`] }
}

function percentilesOf(micros: Histogram): SavedReport['percentiles'] {
  const points: { percentile: number; ms: number }[] = []
  if (micros.totalCount === 0) return points
  for (let nines = 0; nines <= 5; nines += 0.1) {
    const percentile = 100 * (1 - 10 ** -nines)
    // Nothing is known where less than one message is beyond.
    if (micros.totalCount * 10 ** -nines < 1) break
    points.push({ percentile, ms: micros.getValueAtPercentile(percentile) / 1000 })
  }
  return points
}

/** Reads report.json of a folder, or a file; throws with what to do where it is none. */
export async function readSavedReport(place: string): Promise<SavedReport> {
  const isFolder = await stat(place).then(
    (it) => it.isDirectory(),
    () => false,
  )
  const file = isFolder ? path.join(place, 'report.json') : place
  let value: Partial<SavedReport>
  try {
    value = JSON.parse(await readFile(file, 'utf8')) as Partial<SavedReport>
  } catch (error) {
    throw new Error(`${file} is no report: ${(error as Error).message}`)
  }
  if (value.report === undefined || value.made === undefined) {
    throw new Error(`${file} is no report of load-test --report`)
  }
  return value as SavedReport
}

const browsers = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

function findBrowser(): string | undefined {
  const { CHROMIUM: named, PATH: folders = '' } = process.env
  if (named !== undefined && named !== '') return named
  const candidates = folders
    .split(path.delimiter)
    .flatMap((folder) => browsers.map((name) => path.join(folder, name)))
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

const drawTimeoutMs = 60_000

/** Draws a page as it is on a screen; says why it could not. */
async function drawPage(html: string, png: string): Promise<string | undefined> {
  const browser = findBrowser()
  if (browser === undefined) return 'no Chromium on the PATH and none named by CHROMIUM'
  const args = [
    ...['--headless', '--disable-gpu', '--hide-scrollbars', '--no-first-run'],
    // Its sandbox refuses root; the page is our own and loads nothing.
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ...['--window-size=1240,4300', `--screenshot=${png}`, `file://${html}`],
  ]
  try {
    await run(browser, args, { timeout: drawTimeoutMs })
    return undefined
  } catch (error) {
    return `${browser}: ${(error as Error).message.split('\n')[0]}`
  }
}
