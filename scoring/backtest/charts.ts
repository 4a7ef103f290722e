// Charts as inline SVG: no script, no font, nothing that is fetched. Colours are the page's CSS
// variables, so a chart is right in light and in dark; every mark has a title that says its value.

export interface Series {
  readonly name: string
  /** A class of the page's style that fills with its colour. */
  readonly tone: string
}

/** One bar: a label, and a value for each series, stacked in their order. */
export interface Bar {
  readonly label: string
  readonly values: readonly number[]
}

export interface BarChart {
  readonly title: string
  readonly series: readonly Series[]
  readonly bars: readonly Bar[]
  /** A value as it is read: `1,234` or `12.50 EUR`. */
  readonly format: (value: number) => string
}

const width = 960

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** At most this many: round numbers at even distances, the last at or above the greatest value. */
export function ticksOf(greatest: number, count = 4): readonly number[] {
  if (!(greatest > 0)) return [0, 1]
  const rough = greatest / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough
  const ticks: number[] = []
  for (let n = 0; ; n++) {
    ticks.push(Number((n * step).toPrecision(12)))
    if (n * step >= greatest) return ticks
  }
}

const total = ({ values }: Bar): number => values.reduce((sum, value) => sum + value, 0)

function legend(series: readonly Series[]): string {
  if (series.length < 2) return ''
  const items = series.map(
    ({ name, tone }) => `<span class="key"><i class="${tone}"></i>${escapeHtml(name)}</span>`,
  )
  return `<figcaption>${items.join('')}</figcaption>`
}

function figure(chart: BarChart, height: number, marks: string): string {
  const { title, series } = chart
  return `<figure><h3>${escapeHtml(title)}</h3>${legend(series)}
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">
${marks}
</svg></figure>`
}

function text(x: number, y: number, anchor: string, words: string): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escapeHtml(words)}</text>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

/** Stacked columns over time. Labels are thinned so that none covers another. */
export function columnChart(chart: BarChart): string {
  const { series, bars, format } = chart
  const [left, top, bottom, height] = [96, 10, 26, 260]
  const plot = height - top - bottom
  const ticks = ticksOf(Math.max(0, ...bars.map(total)))
  const greatest = ticks.at(-1) ?? 1
  const y = (value: number) => top + plot * (1 - value / greatest)
  const marks: string[] = ticks.map(
    (tick) =>
      `<line class="grid" x1="${left}" x2="${width}" y1="${round(y(tick))}" y2="${round(y(tick))}"/>${text(left - 8, y(tick) + 4, 'end', format(tick))}`,
  )
  const step = (width - left) / Math.max(1, bars.length)
  const bar = Math.min(56, Math.max(1, step * 0.78))
  const every = Math.max(1, Math.ceil(90 / step))
  bars.forEach((one, index) => {
    const x = left + index * step + (step - bar) / 2
    let below = 0
    one.values.forEach((value, at) => {
      if (value <= 0) return
      const { tone = '', name = '' } = series[at] ?? {}
      const from = y(below + value)
      const size = Math.max(0.5, y(below) - from)
      const title = `${one.label}, ${name}: ${format(value)}`
      marks.push(
        `<rect class="${tone}" x="${round(x)}" y="${round(from)}" width="${round(bar)}" height="${round(size)}"><title>${escapeHtml(title)}</title></rect>`,
      )
      below += value
    })
    // Clear of the axis on the left and of the edge on the right.
    const middle = Math.min(width - 36, Math.max(left + 36, x + bar / 2))
    if (index % every === 0) marks.push(text(middle, height - 6, 'middle', one.label))
  })
  return figure(chart, height, marks.join('\n'))
}

/** Stacked bars that lie, one a line, with their label before and their sum behind them. */
export function lyingBarChart(chart: BarChart): string {
  const { series, bars, format } = chart
  const [left, right, line] = [330, 130, 26]
  const height = bars.length * line + 8
  const greatest = Math.max(1e-9, ...bars.map(total))
  const scale = (value: number) => ((width - left - right) * value) / greatest
  const marks = bars.flatMap((one, index) => {
    const middle = index * line + line / 2 + 4
    let x = left
    const parts = one.values.map((value, at) => {
      const { tone = '', name = '' } = series[at] ?? {}
      const size = scale(value)
      const title = `${one.label}, ${name}: ${format(value)}`
      const rect = `<rect class="${tone}" x="${round(x)}" y="${index * line + 6}" width="${round(size)}" height="${line - 10}"><title>${escapeHtml(title)}</title></rect>`
      x += size
      return value > 0 ? rect : ''
    })
    const label = text(left - 10, middle + 1, 'end', one.label)
    return [label, ...parts, text(x + 8, middle + 1, 'start', format(total(one)))]
  })
  return figure(chart, height, marks.join('\n'))
}

/** A square of rules by rules; the darker, the more of the rarer rule's payments they share. */
export interface Matrix {
  readonly title: string
  readonly names: readonly string[]
  /** 0 to 1; undefined where the pair never met. */
  readonly share: (row: number, column: number) => number | undefined
}

export function matrixChart({ title, names, share }: Matrix): string {
  const [left, cell, head] = [330, 38, 34]
  const height = head + names.length * cell + 4
  const marks: string[] = []
  names.forEach((name, row) => {
    const y = head + row * cell
    marks.push(text(left - 10, y + cell / 2 + 4, 'end', `${name}  ${row + 1}`))
    marks.push(text(left + row * cell + cell / 2, head - 10, 'middle', String(row + 1)))
    names.forEach((other, column) => {
      const x = left + column * cell
      if (column === row) return
      const value = share(row, column)
      const shade = value === undefined ? 0 : 0.12 + 0.88 * value
      const words = `${name} with ${other}: ${value === undefined ? 'never' : `${(100 * value).toFixed(0)}%`}`
      marks.push(
        `<rect class="${value === undefined ? 'empty' : 'a'}" ${value === undefined ? '' : `fill-opacity="${shade.toFixed(2)}"`} x="${x + 1}" y="${y + 1}" width="${cell - 2}" height="${cell - 2}"><title>${escapeHtml(words)}</title></rect>`,
      )
      if (value !== undefined) {
        const tone = shade > 0.5 ? 'on' : 'cell'
        marks.push(
          `<text class="${tone}" x="${x + cell / 2}" y="${y + cell / 2 + 4}" text-anchor="middle">${(100 * value).toFixed(0)}</text>`,
        )
      }
    })
  })
  return figure({ title, series: [], bars: [], format: String }, height, marks.join('\n'))
}
