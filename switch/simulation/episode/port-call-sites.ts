// Every place in the message path that calls a port, found in the code itself: what the coverage of
// crash points is compared with. A call is known by its port's name, as this code base writes it.

import type { PortCall } from './crash-point.ts'

export interface SourceText {
  /** From the project's folder. */
  readonly path: string
  readonly text: string
}

const CALLS: readonly (readonly [PortCall, RegExp])[] = [
  ['clock.now', /\bclock\.now\(/],
  ['clock.monotonic', /\bclock\.monotonic\(/],
  ['timers.set', /\btimers\.set\(/],
  ['timers.clear', /\btimers\.clear\(/],
  ['random.fill', /\brandom\.fill\(/],
  ['disk.list', /[dD]isk\.list\(/],
  ['disk.open', /[dD]isk\.open\(/],
  ['disk.remove', /[dD]isk\.remove\(/],
  ['disk.rename', /[dD]isk\.rename\(/],
  ['file.append', /(?:[fF]ile|#writing)\.append\(/],
  ['file.sync', /(?:[fF]ile|#writing)\.sync\(/],
  ['file.read', /[fF]ile\.read\(/],
  ['file.truncate', /\.truncate\(/],
  ['file.close', /(?:[fF]ile|#writing)\.close\(/],
  ['index.write', /[iI]ndex\.write\(/],
  ['index.clear', /[iI]ndex\.clear\(/],
  ['index.close', /[iI]ndex\.close\(/],
  ['transport.connect', /transport\.connect\(/],
  ['connection.write', /onnection\??\.write\(/],
  ['connection.destroy', /onnection\??\.destroy\(/],
  ['runner.run', /runner\.run\(/],
]

/** What is not in the simulated switch at all, and why. */
export const ELSEWHERE: readonly (readonly [RegExp, string])[] = [
  [/^scoring\/(pool|warm-up|worker)|velocity\/(redis|breaker|tile-compactor)/, 'threads and Redis'],
  [/^switch\/issuers\/http-/, 'issuers by HTTP'],
  [/^switch\/store\/postgres\//, 'PostgreSQL'],
  [/^switch\/(first-answer|assemble|store-and-forward\/store-and-forward)\./, 'shared stores'],
  [/^switch\/ingress\/exchanged-keys\./, 'keys that acquirers exchange'],
  [/^switch\/(store\/copy-log|card-data\/keys)/, 'commands beside the switch'],
  [/^switch\/simulation\/|\/adapters\//, 'the simulation, and what it stands in for'],
]

/** `call file:line`, as `Crash` names its site. A timer's own call comes from the event loop. */
export function portCallSites(sources: readonly SourceText[]): string[] {
  const sites = ['timers.fire event loop']
  for (const { path, text } of sources) {
    if (ELSEWHERE.some(([pattern]) => pattern.test(path))) continue
    for (const [i, line] of text.split('\n').entries()) {
      if (/^\s*(\/\/|\/?\*)/.test(line)) continue
      for (const [call, pattern] of CALLS) {
        if (pattern.test(line)) sites.push(`${call} ${path}:${i + 1}`)
      }
    }
  }
  return sites.sort()
}
