// The report as one page: a verdict and the numbers first, then the charts, then how it was made.
// Self-contained: no script, no font, nothing to load.

import { type Band, type Chart, chartStyle, chartSvg, escaped, type Line } from './chart.ts'
import { booksScope, type LoadReport, type PhaseReport, type SecondReport } from './report.ts'
import type { SavedReport } from './report-files.ts'

const blue = 'var(--blue)'
const green = 'var(--green)'
const yellow = 'var(--yellow)'
const red = 'var(--red)'
const violet = 'var(--violet)'
const cyan = 'var(--cyan)'
const grey = 'var(--grey)'

export function reportPage(saved: SavedReport): string {
  const { report } = saved
  const { title, scenario } = report.run
  return (
    `<!doctype html><html lang="en"><meta charset="utf-8">${viewport}<title>${escaped(String(title))}</title>` +
    `<style>${style}</style><body><h1>${escaped(String(title))}</h1>` +
    `<p class="sub">scenario ${escaped(String(scenario))}, ${escaped(saved.made.at)}, ` +
    `commit ${escaped(saved.made.commit)}, ${escaped(saved.made.machine)}</p>` +
    verdict(report) +
    tiles(report) +
    chartsOf(saved)
      .map((chart) => `<figure>${chartSvg(chart)}</figure>`)
      .join('') +
    phaseTable(report.phases) +
    facts(saved) +
    '</body></html>\n'
  )
}

function verdict(report: LoadReport): string {
  const { booksBalanced, rateMet, interrupted } = report
  const isVoid = report.void.length > 0
  const books =
    booksBalanced === null ? 'the books were not judged' : booksBalanced ? 'the books balance' : ''
  const rate = rateMet ? 'every rate was met' : 'RATE NOT MET: what was offered was not served'
  const text = isVoid ? `VOID: ${report.void.join('; ')}` : `${rate}; ${books}`
  const kind = isVoid ? 'bad' : rateMet ? 'good' : 'warn'
  const cut = interrupted ? ' Interrupted: figures up to then.' : ''
  return `<p class="verdict ${kind}">${escaped(text)}.${cut}</p>`
}

function tiles(report: LoadReport): string {
  const { latencyMs: latency, cpuMicrosPerMessage: cpu } = report
  const errors = Object.values(report.errors).reduce((sum, count) => sum + count, 0)
  const items: readonly (readonly [string, string])[] = [
    ['served', `${Math.round(report.achievedPerSecond).toLocaleString('en')}/s`],
    ['offered', `${Math.round(report.offeredPerSecond).toLocaleString('en')}/s`],
    ['p50', `${latency.p50} ms`],
    ['p99', `${latency.p99} ms`],
    ['p99.9', `${latency.p999} ms`],
    ['worst', `${latency.max} ms`],
    ['errors, unsent', `${errors}, ${report.unsent}`],
    ['switch CPU', cpu.switch === null ? 'not known' : `${cpu.switch} µs/msg`],
  ]
  const cells = items.map(([name, value]) => `<div><b>${value}</b><span>${name}</span></div>`)
  return `<section class="tiles">${cells.join('')}</section>`
}

function chartsOf(saved: SavedReport): Chart[] {
  const { report } = saved
  const { seconds } = report
  const bands = bandsOf(report.phases)
  const line = (
    name: string,
    color: string,
    read: (second: SecondReport) => number | null,
  ): Line => ({
    ...{ name, color },
    points: seconds.map((second) => [second.atSeconds, read(second)]),
  })
  const megabytes = (bytes: number | null) => (bytes === null ? null : bytes / 1_048_576)
  return [
    percentileChart(saved),
    {
      ...{ title: 'Latency over time, from the intended send time', unit: 'ms', bands },
      isLogarithmic: true,
      lines: [
        line('p50', green, (it) => it.p50Ms),
        line('p99', yellow, (it) => it.p99Ms),
        line('worst', red, (it) => it.maxMs),
      ],
    },
    {
      ...{ title: 'Offered against served', unit: '1/s', bands },
      lines: [
        line('offered', grey, (it) => it.offered + it.unsent),
        line('approved', green, (it) => it.approved),
        line('declined', yellow, (it) => it.served - it.approved),
      ],
    },
    {
      ...{ title: 'Errors, what could not be sent, and what was under way', unit: '1/s', bands },
      lines: [
        line('errors', red, (it) => it.errors),
        line('unsent', yellow, (it) => it.unsent),
        line('in flight', violet, (it) => it.inFlight),
      ],
    },
    {
      ...{ title: 'CPU by process, and by thread of the switch', unit: 'cores', bands },
      lines: [
        line('switch main', blue, (it) => it.cpus.switchMain),
        line('switch worker', cyan, (it) => it.cpus.switchWorker),
        line('switch V8, libuv', violet, (it) => it.cpus.switchRest),
        line('redis', red, (it) => it.cpus.redis),
        line('issuers', yellow, (it) => it.cpus.issuer),
        line('generator', grey, (it) => it.cpus.generator),
      ],
    },
    {
      ...{ title: 'Event loop of the switch, main thread', unit: 'ms', bands },
      lines: [
        line('lag p99', yellow, (it) => it.eventLoopLagP99Ms),
        line('GC each second', violet, (it) => it.gcMsPerSecond),
      ],
    },
    {
      ...{ title: 'Memory of the switch: heap, buffers, anonymous', unit: 'MiB', bands },
      lines: [line('memory', blue, (it) => megabytes(it.switchMemoryBytes))],
    },
  ]
}

function bandsOf(phases: readonly PhaseReport[]): Band[] {
  let from = 0
  return phases.map(({ name, seconds, fault, measured }) => {
    const band: Band = {
      name: measured ? `${name}${fault === null ? '' : ` (${fault})`}` : `${name} *`,
      ...{ from, to: from + seconds, isFault: fault !== null, isMeasured: measured },
    }
    from += seconds
    return band
  })
}

/** The horizontal axis counts nines: 90% is 1, 99% is 2. */
function percentileChart({ percentiles }: SavedReport): Chart {
  const nines = (percentile: number) => -Math.log10(1 - percentile / 100)
  return {
    ...{ title: 'Latency by percentile, measured phases', unit: 'ms', isLogarithmic: true },
    lines: [
      {
        ...{ name: 'answered', color: green },
        points: percentiles
          .filter(({ percentile }) => percentile < 100)
          .map(({ percentile, ms }) => [nines(percentile), ms]),
      },
    ],
    ticksX: [50, 90, 99, 99.9, 99.99]
      .filter((percentile) => percentiles.some((it) => it.percentile >= percentile))
      .map((percentile) => ({ at: nines(percentile), label: `${percentile}%` })),
  }
}

function phaseTable(phases: readonly PhaseReport[]): string {
  const rows = phases.map((phase) => {
    const { latencyMs: latency, refusedLatencyMs: refused, cpuMicrosPerMessage: cpu } = phase
    const errors = Object.entries(phase.errors).map(([kind, count]) => `${kind} ${count}`)
    const cells = [
      `${phase.name}${phase.measured ? '' : ' *'}${phase.fault === null ? '' : ` (${phase.fault})`}`,
      `${phase.offeredPerSecond}${phase.rateMet ? '' : ' not met'}`,
      ...[phase.achievedPerSecond, latency.p50, latency.p99, latency.p999, latency.max],
      ...[refused?.p99 ?? '', cpu.switch ?? '', errors.join(', ')],
    ]
    return `<tr>${cells.map((cell) => `<td>${escaped(String(cell))}</td>`).join('')}</tr>`
  })
  const heads = [
    ...['phase', 'offered/s', 'served/s', 'p50 ms', 'p99', 'p99.9', 'worst'],
    ...['refusals p99', 'switch µs/msg', 'errors'],
  ]
  const head = heads.map((name) => `<th>${name}</th>`).join('')
  const star = phases.some(({ measured }) => !measured) ? '<p class="sub">* not measured</p>' : ''
  const table = `<table><tr>${head}</tr>${rows.join('')}</table>`
  return `<h2>Phases</h2>${star}<div class="wide">${table}</div>`
}

function facts({ report, made }: SavedReport): string {
  const said: Readonly<Record<string, unknown>> = {
    ...made,
    ...report.run,
    outcomes: report.outcomes,
    errors: report.errors,
    'asked again': report.retried,
    'generator late, ms': report.sendDelayMs,
    'the switch says, ms': report.switchMs,
    'CPU µs a message': report.cpuMicrosPerMessage,
    'switch by thread': report.switchThreadMicrosPerMessage,
    [`books${booksScope(report)}`]:
      report.books === null ? 'not judged' : { ...report.books, discrepancies: undefined },
    reloads: report.reloads,
  }
  const rows = Object.entries(said)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => {
      const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
      return `<tr><th>${escaped(name)}</th><td>${escaped(text)}</td></tr>`
    })
  return `<h2>How it was measured</h2><table class="facts">${rows.join('')}</table>`
}

const viewport = '<meta name="viewport" content="width=device-width">'

/** Few bright lines on a dark ground, and the same darker where the reader has a light one. */
const colours =
  ':root{color-scheme:dark;--ground:#14171c;--panel:#181c22;--tile:#20262e;--ink:#e8eaed;' +
  '--faint:#9aa0a6;--grid:#333a44;--fault:#5c2b2e;--blue:#8ab4f8;--green:#81c995;' +
  '--yellow:#fdd663;--red:#f28b82;--violet:#c58af9;--cyan:#78d9ec;--grey:#bdc1c6}' +
  '@media(prefers-color-scheme:light){:root{color-scheme:light;--ground:#fff;--panel:#f6f8fa;' +
  '--tile:#e9edf2;--ink:#1d2127;--faint:#565d66;--grid:#c9ced6;--fault:#fbdcda;--blue:#1a5fd0;' +
  '--green:#18794e;--yellow:#946300;--red:#c5221f;--violet:#7c3aba;--cyan:#0b7285;--grey:#5f6368}}'

const style =
  `${colours}body{background:var(--ground);color:var(--ink);` +
  'font:17px/1.45 system-ui,"DejaVu Sans",sans-serif;' +
  'max-width:1200px;margin:28px auto;padding:0 20px}h1{font-size:30px;margin:0 0 4px}' +
  'h2{font-size:20px;margin:28px 0 8px}.sub{color:var(--faint);margin:0 0 16px}' +
  '.verdict{font-size:20px;font-weight:600;padding:12px 16px;border-radius:8px;margin:0 0 16px}' +
  '.good{background:#123524;color:#a8dab5}.warn{background:#4a3b08;color:#fde293}' +
  '.bad{background:#5c2b2e;color:#ffc9c5}' +
  '.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(250px,45%),1fr));' +
  'gap:12px;margin-bottom:20px}.wide{overflow-x:auto}' +
  '.tiles div{background:var(--tile);border-radius:8px;padding:12px 16px}' +
  '.tiles b{display:block;font-size:26px}.tiles span{color:var(--faint)}' +
  'figure{margin:0 0 18px;background:var(--panel);border-radius:8px;padding:10px}' +
  'table{border-collapse:collapse;width:100%;font-size:15px}' +
  'th,td{text-align:left;padding:5px 10px;border-bottom:1px solid var(--grid);vertical-align:top}' +
  'th{color:var(--faint);font-weight:500}.facts th{width:200px}.facts td{overflow-wrap:anywhere}' +
  chartStyle
