// Line charts as SVG: few lines, large labels, names at the lines' ends instead of a legend to look
// up. The colours are custom properties of the page, which knows a dark and a light ground.

export interface Line {
  readonly name: string
  readonly color: string
  /** `null`: not known there; the line has a gap. */
  readonly points: readonly (readonly [x: number, y: number | null])[]
}

/** A part of the time that is told apart: a phase, with what was wrong in it. */
export interface Band {
  readonly name: string
  readonly from: number
  readonly to: number
  readonly isFault: boolean
  /** Left out of the figures: drawn dimmer. */
  readonly isMeasured: boolean
}

export interface Chart {
  readonly title: string
  /** Of the vertical axis: `ms`. */
  readonly unit: string
  readonly lines: readonly Line[]
  readonly bands?: readonly Band[]
  readonly isLogarithmic?: boolean
  /** Labels below, where they are not numbers of seconds. */
  readonly ticksX?: readonly { readonly at: number; readonly label: string }[]
}

const width = 1_160
const height = 330
const left = 86
const right = 150
const top = 52
const bottom = 40
const ink = 'var(--ink)'
const faint = 'var(--faint)'
const grid = 'var(--grid)'

/** One chart; the text of an `<svg>` element. */
export function chartSvg(chart: Chart): string {
  const xs = chart.lines.flatMap(({ points }) => points.map(([x]) => x))
  const ys = chart.lines.flatMap(({ points }) =>
    points.map(([, y]) => y).filter((y): y is number => y !== null),
  )
  const head =
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(chart.title)}">` +
    `<text x="${left}" y="24" class="title">${escaped(chart.title)}</text>` +
    `<text x="${left - 10}" y="${top - 10}" class="unit" text-anchor="end">${chart.unit}</text>`
  if (xs.length === 0 || ys.length === 0) {
    const middle = `x="${width / 2}" y="${height / 2}"`
    return `${head}<text ${middle} class="unit" text-anchor="middle">not known here</text></svg>`
  }
  const xMin = Math.min(...xs)
  const xMax = Math.max(...xs, xMin + 1)
  const scaleX = (x: number) => left + ((x - xMin) / (xMax - xMin)) * (width - left - right)
  const { scaleY, ticksY } = verticalAxis(ys, chart.isLogarithmic === true)
  const ticksX = chart.ticksX ?? secondTicks(xMin, xMax)
  const parts = [head]
  for (const band of chart.bands ?? []) parts.push(bandSvg(band, scaleX))
  for (const value of ticksY) {
    const y = scaleY(value)
    parts.push(
      `<line x1="${left}" x2="${width - right}" y1="${y}" y2="${y}" stroke="${grid}"/>` +
        `<text x="${left - 10}" y="${y + 5}" text-anchor="end" class="tick">${short(value)}</text>`,
    )
  }
  for (const { at, label } of ticksX) {
    const x = scaleX(at)
    parts.push(
      `<text x="${x}" y="${height - 14}" text-anchor="middle" class="tick">${label}</text>`,
    )
  }
  for (const line of chart.lines) parts.push(lineSvg(line, scaleX, scaleY))
  parts.push(...endLabels(chart.lines, scaleY))
  return `${parts.join('')}</svg>`
}

function bandSvg(band: Band, scaleX: (x: number) => number): string {
  const from = scaleX(band.from)
  const to = Math.min(scaleX(band.to), width - right)
  const fill = `var(--${band.isFault ? 'fault' : band.isMeasured ? 'tile' : 'ground'})`
  const rect =
    `<rect x="${from}" y="${top}" width="${Math.max(0, to - from)}" ` +
    `height="${height - top - bottom}" fill="${fill}" stroke="${grid}"/>`
  // A name that would run into the next one's says less than none.
  if (to - from < band.name.length * characterWidth) return rect
  return `${rect}<text x="${from + 6}" y="${top - 8}" class="band">${escaped(band.name)}</text>`
}

/** Of the bands' names, at 14 pixels. */
const characterWidth = 8

function lineSvg(
  { color, points }: Line,
  scaleX: (x: number) => number,
  scaleY: (y: number) => number,
): string {
  let path = ''
  let isDown = false
  for (const [x, y] of points) {
    if (y === null) {
      isDown = false
      continue
    }
    path += `${isDown ? 'L' : 'M'}${scaleX(x).toFixed(1)} ${scaleY(y).toFixed(1)}`
    isDown = true
  }
  return `<path d="${path}" fill="none" stroke="${color}" stroke-width="2.5"/>`
}

/** Each line's name at its end, moved apart where ends are near. */
function endLabels(lines: readonly Line[], scaleY: (y: number) => number): string[] {
  const ends = lines
    .map(({ name, color, points }) => {
      const last = points.findLast(([, y]) => y !== null)?.[1]
      return last === undefined || last === null ? undefined : { name, color, y: scaleY(last) }
    })
    .filter((end) => end !== undefined)
    .sort((one, other) => one.y - other.y)
  const apart = 19
  let before = Number.NEGATIVE_INFINITY
  const placed = ends.map((end) => {
    const y = Math.max(end.y, before + apart)
    before = y
    return { ...end, y }
  })
  // What was pushed out at the bottom pushes back up.
  let after = height - bottom + apart
  for (const end of placed.reverse()) {
    end.y = Math.min(end.y, after - apart)
    after = end.y
  }
  return placed.map(
    ({ name, color, y }) =>
      `<text x="${width - right + 8}" y="${y + 5}" class="name" fill="${color}">` +
      `${escaped(name)}</text>`,
  )
}

function verticalAxis(ys: readonly number[], isLogarithmic: boolean) {
  const highest = Math.max(...ys)
  const span = height - top - bottom
  if (!isLogarithmic) {
    const step = niceStep(highest / 4)
    const most = Math.max(step, Math.ceil(highest / step) * step)
    const ticksY = Array.from({ length: Math.round(most / step) + 1 }, (_, i) => i * step)
    return { scaleY: (y: number) => height - bottom - (y / most) * span, ticksY }
  }
  const positive = ys.filter((y) => y > 0)
  const low = Math.floor(Math.log10(Math.min(...positive, highest || 1)))
  const high = Math.max(low + 1, Math.ceil(Math.log10(highest || 1)))
  const ticksY: number[] = []
  for (let power = low; power <= high; power++) {
    for (const digit of high - low <= 2 ? [1, 2, 5] : [1]) {
      const value = digit * 10 ** power
      if (value <= 10 ** high) ticksY.push(value)
    }
  }
  const scaleY = (y: number) => {
    const power = Math.log10(Math.max(y, 10 ** low))
    return height - bottom - ((power - low) / (high - low)) * span
  }
  return { scaleY, ticksY }
}

/** 1, 2 or 5 times a power of ten, at least the given. */
function niceStep(least: number): number {
  if (!(least > 0)) return 1
  const power = 10 ** Math.floor(Math.log10(least))
  const digit = [1, 2, 5, 10].find((it) => it * power >= least) ?? 10
  return digit * power
}

function secondTicks(from: number, to: number): { at: number; label: string }[] {
  const step = niceStep((to - from) / 10)
  const ticks: { at: number; label: string }[] = []
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    ticks.push({ at, label: `${short(at)} s` })
  }
  return ticks
}

/** 0.5, 20, 1.5k, 3M. */
function short(value: number): string {
  const [scaled, letter] =
    value >= 1e6 ? [value / 1e6, 'M'] : value >= 1e3 ? [value / 1e3, 'k'] : [value, '']
  return `${Number(scaled.toPrecision(3))}${letter}`
}

export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** What the classes of a chart mean; part of the page's style. */
export const chartStyle =
  `svg{width:100%;height:auto;display:block}text{font-family:inherit}` +
  `.title{font-size:19px;font-weight:600;fill:${ink}}.unit,.tick{font-size:15px;fill:${faint}}` +
  `.name{font-size:16px;font-weight:600}.band{font-size:14px;fill:${faint}}`
