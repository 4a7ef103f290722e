// Reads what strace saw of a process, and judges the order of its writes: no byte goes to an issuer
// or to an acquirer before the record that it depends on is on stable storage.

/**
 * One system call with the lines at which it began and returned; they differ for a blocking one.
 */
export interface SystemCall {
  readonly name: string
  /** What the descriptor is, as `strace -y` says: a path, or `socket:[...]`. */
  readonly file: string
  /** The arguments after the descriptor, as text. */
  readonly data: string
  readonly beganAt: number
  /** Infinity: it never returned while we looked. */
  readonly returnedAt: number
  readonly failed: boolean
}

const whole = /^(\d+) +(\w+)\(\d+<([^>]*)>(.*)\) += +(-?\d+)/
const begun = /^(\d+) +(\w+)\(\d+<([^>]*)>(.*) <unfinished \.\.\.>$/
const resumed = /^(\d+) +<\.\.\. (\w+) resumed>.*= +(-?\d+)/

/** Reads the output of `strace -f -y`. Lines of other kinds (signals, exits) are passed over. */
export function readSystemCalls(text: string): SystemCall[] {
  const calls: (SystemCall & { returnedAt: number; failed: boolean })[] = []
  /** The call that each thread is inside. */
  const open = new Map<string, SystemCall & { returnedAt: number; failed: boolean }>()
  for (const [at, line] of text.split('\n').entries()) {
    const start = whole.exec(line) ?? begun.exec(line)
    if (start !== null) {
      const [, thread = '', name = '', file = '', data = '', result] = start
      const isWhole = result !== undefined
      const call = {
        name,
        file,
        data,
        beganAt: at,
        returnedAt: isWhole ? at : Number.POSITIVE_INFINITY,
        failed: isWhole && Number(result) < 0,
      }
      calls.push(call)
      if (!isWhole) open.set(thread, call)
      continue
    }
    const [, thread = '', , result] = resumed.exec(line) ?? []
    const call = open.get(thread)
    if (call === undefined) continue
    call.returnedAt = at
    call.failed = Number(result) < 0
    open.delete(thread)
  }
  return calls
}

export interface OrderQuestion {
  /** Finds the write of the record into the log. */
  readonly isRecord: (call: SystemCall) => boolean
  /** Finds the write that depends on it. */
  readonly isEffect: (call: SystemCall) => boolean
}

export type OrderVerdict =
  | { readonly kind: 'durable_first' }
  | { readonly kind: 'no_record' }
  | { readonly kind: 'no_effect' }
  /** The effect began before a flush that covers the record had returned. */
  | { readonly kind: 'effect_first'; readonly effect: SystemCall }

/**
 * The first effect against the first record: between the return of the record's write and the
 * beginning of the effect, an fdatasync of the same file must have begun and returned 0.
 */
export function judgeOrder(calls: readonly SystemCall[], question: OrderQuestion): OrderVerdict {
  const effect = calls.find(question.isEffect)
  if (effect === undefined) return { kind: 'no_effect' }
  const record = calls.find(question.isRecord)
  if (record === undefined) return { kind: 'no_record' }
  const flush = calls.find(
    (call) =>
      call.name === 'fdatasync' &&
      call.file === record.file &&
      call.beganAt >= record.returnedAt &&
      call.returnedAt < effect.beganAt &&
      !call.failed,
  )
  return flush === undefined ? { kind: 'effect_first', effect } : { kind: 'durable_first' }
}
