// Work in steps, so that whoever has messages to score between them can: the same code compiles a
// rule set at once in a test and slice by slice in a worker that is taking traffic.

/** Work that may be interrupted at each `yield`. A step takes below a millisecond. */
export type Steps<T> = Generator<void, T, void>

/** All steps at once. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/**
 * The steps with pauses between them. `pause` is asked after each one: undefined goes on at once, a
 * promise is waited for.
 */
export async function inSlices<T>(
  steps: Steps<T>,
  pause: () => Promise<void> | undefined,
): Promise<T> {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    const waiting = pause()
    if (waiting !== undefined) await waiting
  }
}
