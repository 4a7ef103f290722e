// Counting a message: our histogram and counter in typed arrays, and those of prom-client.

import { Counter, Histogram as PlainHistogram, Registry } from 'prom-client'
import { Histogram, Tally } from '../../switch/observe/index.ts'
import { measure } from '../measure.ts'

const registry = new Registry()
const ours = new Histogram(registry, 'bench_ours_seconds', 'ours')
const tally = new Tally(registry, 'bench_ours_total', 'ours', ['outcome', 'channel'])
const plain = new PlainHistogram({
  ...{ name: 'bench_plain_seconds', help: 'plain', registers: [registry] },
})
const counter = new Counter({
  ...{ name: 'bench_plain_total', help: 'plain', labelNames: ['outcome', 'channel'] },
  registers: [registry],
})
const series = ours.series({})
let next = 0
const seconds = () => (next++ % 1_000) / 10_000

await measure([
  { name: 'histogram, observe', run: () => ours.observe(series, seconds()) },
  { name: 'prom-client histogram, observe', run: () => plain.observe(seconds()) },
  { name: 'tally, count', run: () => tally.add('approved', 'pos') },
  {
    name: 'prom-client counter, count',
    run: () => counter.inc({ outcome: 'approved', channel: 'pos' }),
  },
])
