// A bar on standard error while something long runs; nothing where nobody looks.

import { SingleBar } from 'cli-progress'

export interface Progress {
  /** `share` of the work, 0 to 1. */
  update(share: number, payments: number): void
  stop(): void
}

export function startProgress(title: string): Progress {
  if (process.stderr.isTTY !== true) return { update: () => undefined, stop: () => undefined }
  const format = `${title} {bar} {percentage}% | {payments} payments | {eta_formatted} to go`
  const bar = new SingleBar({
    stream: process.stderr,
    format,
    hideCursor: true,
    clearOnComplete: true,
    etaBuffer: 50,
  })
  const whole = 1_000
  bar.start(whole, 0, { payments: 0 })
  return {
    update: (share, payments) => bar.update(Math.floor(share * whole), { payments }),
    stop: () => bar.stop(),
  }
}
