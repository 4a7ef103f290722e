import assert from 'node:assert/strict'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, test } from 'node:test'
import { chromium } from 'playwright-core'
import { compileRuleSet, RISK_OUTCOMES } from '#rules'
import { ticksOf } from './charts.ts'
import { backtestPage } from './page.ts'
import type { BacktestReport } from './report.ts'
import { Tally } from './tally.ts'

/** A report of some days in which everything happens. */
function reportOf(days: number): BacktestReport {
  const rules = RISK_OUTCOMES.map(
    (outcome, n) =>
      `  - { id: x.rule-${n}, title: "<b>&\\"", mode: live, when: amount > ${n}, outcome: ${outcome}, reason: r }\n`,
  )
  const compiled = compileRuleSet([
    { name: 'packs/x.yaml', text: `typology: x\nrules:\n${rules.join('')}` },
  ])
  assert.ok(compiled.ok, JSON.stringify(compiled))
  const { ruleSet } = compiled
  const tally = new Tally(ruleSet)
  for (let n = 0; n < days * 40; n++) {
    const outcome = RISK_OUTCOMES[n % 4] ?? 'approve'
    const hits = ruleSet.rules.slice(0, 1 + (n % 4)).map(({ id, mode, outcome: own, reason }) => ({
      ...{ rule: id, mode, outcome: own, reason, disclose: true, values: {} },
    }))
    tally.take({
      payment: {
        request: { arrivedAtMs: Date.UTC(2026, 0, 5) + n * 2_160_000 } as never,
        rrn: undefined,
        outcome: n % 9 === 0 ? 'declined' : 'approved',
        responseCode: '00',
        endedAtMs: Number.NaN,
        decided: RISK_OUTCOMES[(n >> 2) % 4],
        decision: undefined,
        label: undefined,
      },
      decision: {
        ...{ outcome, hits, score: (n % 97) / 97, lookedUp: [1_000 + ((n * 7_919) % 90_000)] },
        ...{ unknownRules: [], saturated: [] },
      } as never,
      truth: n % 9 === 0 ? 'apart' : n % 5 === 0 ? 'fraud' : 'genuine',
      isLabelled: n % 5 === 0,
      isLabelledFraud: n % 5 === 0,
    })
  }
  const { saturated, ...counted } = tally.finish()
  return {
    ...counted,
    ruleSet: ruleSet.hash,
    model: 'test',
    warmUp: 3,
    velocity: { entities: 1, evicted: 1, saturated },
    badLines: { count: 1, first: [] },
    replayed: { decisions: 2, same: 2 },
  }
}

test('ticks are round, start at zero and reach the greatest value', () => {
  assert.deepEqual(ticksOf(87), [0, 50, 100])
  assert.deepEqual(ticksOf(1_234_567), [0, 500_000, 1_000_000, 1_500_000])
  assert.deepEqual(ticksOf(0), [0, 1])
  for (const value of [0.003, 1, 7, 99, 100, 101, 5e12]) {
    const ticks = ticksOf(value)
    assert.ok((ticks.at(-1) ?? 0) >= value && ticks.length <= 7, `${value}: ${ticks.join()}`)
  }
})

test('the page fetches nothing, runs nothing, and takes names as text', () => {
  const page = backtestPage(reportOf(4), '<script>alert(1)</script>')
  assert.ok(!/<script|<link|<img|https?:|@import|url\(| on[a-z]+=/i.test(page))
  assert.match(page, /default-src 'none'/)
  assert.ok(page.includes('&lt;script&gt;') && page.includes('&lt;b&gt;&amp;&quot;'))
  const rows = (page.match(/<tr>/g) ?? []).length
  assert.ok(rows > 10, `${rows} rows`)
})

test('without labels the page says what it does not know', () => {
  const page = backtestPage({ ...reportOf(1), truth: null }, 'data.csv')
  assert.match(page, /Without labels nobody knows/)
  assert.ok(!page.includes('fraud stopped'))
})

function findChromium(): string | undefined {
  const names = ['chromium', 'chromium-browser', 'google-chrome']
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of names) {
      try {
        accessSync(join(folder, name), constants.X_OK)
        return join(folder, name)
      } catch {
        // Not in this folder.
      }
    }
  }
  return undefined
}

const program = findChromium()

/** Runs in the page: labels that cover one another, charts without a size, the contrasts. */
const inspect = `(() => {
  const rgb = (color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number)
  const light = (color) => {
    const [r, g, b] = rgb(color).map((c) => {
      const s = c / 255
      return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const contrast = (one, other) => {
    const [a, b] = [light(one), light(other)].sort((x, y) => y - x)
    return (a + 0.05) / (b + 0.05)
  }
  const style = (element) => getComputedStyle(element)
  const card = style(document.querySelector('section')).backgroundColor
  const texts = [...document.querySelectorAll('p, td, th, h1, h2, h3, small, summary')]
  const labels = [...document.querySelectorAll('svg text')]
  const covering = []
  for (const svg of document.querySelectorAll('svg')) {
    const boxes = [...svg.querySelectorAll('text')].map((t) => [t.textContent, t.getBoundingClientRect()])
    boxes.forEach(([name, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
      if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
        covering.push(name + ' and ' + other)
    }))
  }
  const plain = labels.filter((label) => label.classList.length === 0)
  return {
    charts: [...document.querySelectorAll('svg')].map((svg) => {
      const { width, height } = svg.getBoundingClientRect()
      return { width, height, marks: svg.querySelectorAll('rect').length }
    }),
    covering,
    ground: style(document.body).backgroundColor,
    contrasts: [
      ...texts.map((text) => contrast(style(text).color, card)),
      ...plain.map((label) => contrast(style(label).fill, card)),
    ],
    sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  }
})()`

interface Inspected {
  readonly charts: readonly { width: number; height: number; marks: number }[]
  readonly covering: readonly string[]
  readonly ground: string
  readonly contrasts: readonly number[]
  readonly sideways: number
}

describe('in a browser', {
  skip: program === undefined && 'no chromium on the PATH: install it to have the page looked at',
}, () => {
  test('every chart can be read, in light and dark, on a wide and a narrow screen', async () => {
    const browser = await chromium.launch({
      executablePath: program as string,
      args: ['--no-sandbox'],
    })
    try {
      const grounds = new Set<string>()
      for (const colorScheme of ['light', 'dark'] as const) {
        for (const width of [1_280, 720]) {
          const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } })
          const failures: string[] = []
          page.on('console', (message) => failures.push(message.text()))
          page.on('request', ({ url }) => url().startsWith('http') && failures.push(url()))
          await page.setContent(backtestPage(reportOf(40), 'demo.csv.gz'))
          const seen = (await page.evaluate(inspect)) as Inspected
          assert.deepEqual(failures, [])
          assert.ok(seen.charts.length >= 6)
          for (const chart of seen.charts) {
            assert.ok(
              chart.width > 300 && chart.height > 60 && chart.marks >= 4,
              JSON.stringify(chart),
            )
          }
          assert.deepEqual(seen.covering, [])
          assert.ok(Math.min(...seen.contrasts) >= 4.5, String(Math.min(...seen.contrasts)))
          assert.ok(seen.sideways <= 0)
          grounds.add(seen.ground)
          await page.close()
        }
      }
      assert.equal(grounds.size, 2)
    } finally {
      await browser.close()
    }
  })
})
