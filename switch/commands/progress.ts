// A bar on standard error while something long runs; nothing where nobody looks.

import { SingleBar } from 'cli-progress'

export interface Progress {
  /** `share` of the work, 0 to 1, and how many of what is counted. */
  update(share: number, count: number): void
  stop(): void
}

export function startProgress(title: string, unit = 'payments'): Progress {
  if (process.stderr.isTTY !== true) return { update: () => undefined, stop: () => undefined }
  const format = `${title} {bar} {percentage}% | {count} ${unit} | {eta_formatted} to go`
  const bar = new SingleBar({
    stream: process.stderr,
    format,
    hideCursor: true,
    clearOnComplete: true,
    etaBuffer: 50,
  })
  const whole = 1_000
  bar.start(whole, 0, { count: 0 })
  return {
    update: (share, count) => bar.update(Math.floor(share * whole), { count }),
    stop: () => bar.stop(),
  }
}
