// What a JSON value must look like, as a value that checks it and gives it its type. Small on
// purpose: a manifest is read once a start in every worker, where a schema library would take a
// second of CPU to load.

/** Says what is wrong with a value, `/bands/0/from must be ...`; undefined where it fits. */
export interface Shape<T> {
  check(value: unknown, at: string): string | undefined
  readonly isOptional?: boolean
  /** Never there: it carries the type. */
  readonly type?: T
}

export type TypeOf<S> = S extends Shape<infer T> ? T : never

const wrong = (at: string, message: string): string => `${at === '' ? '/' : at} must be ${message}`

/** A finite number: JSON has no others. */
export function number(min = -Number.MAX_VALUE, max = Number.MAX_VALUE): Shape<number> {
  return {
    check(value, at) {
      if (typeof value !== 'number') return wrong(at, 'a number')
      return value >= min && value <= max ? undefined : wrong(at, `from ${min} to ${max}`)
    },
  }
}

export function integer(min = Number.MIN_SAFE_INTEGER): Shape<number> {
  return {
    check: (value, at) =>
      Number.isSafeInteger(value) && (value as number) >= min
        ? undefined
        : wrong(at, `a whole number from ${min}`),
  }
}

export function text(pattern = /^/): Shape<string> {
  return {
    check(value, at) {
      if (typeof value !== 'string') return wrong(at, 'a text')
      return pattern.test(value) ? undefined : wrong(at, `a text like ${pattern.source}`)
    },
  }
}

export function exactly<const T extends string | number | null>(expected: T): Shape<T> {
  return {
    check: (value, at) =>
      value === expected ? undefined : wrong(at, `exactly ${JSON.stringify(expected)}`),
  }
}

export function list<T>(of: Shape<T>, min = 0, max = Number.MAX_SAFE_INTEGER): Shape<T[]> {
  return {
    check(value, at) {
      if (!Array.isArray(value)) return wrong(at, 'a list')
      if (value.length < min || value.length > max) return wrong(at, `of ${min} to ${max} entries`)
      return firstOf(value, (each, index) => of.check(each, `${at}/${index}`))
    },
  }
}

export function pair<A, B>(first: Shape<A>, second: Shape<B>): Shape<[A, B]> {
  return {
    check(value, at) {
      if (!Array.isArray(value) || value.length !== 2) return wrong(at, 'a list of two')
      return first.check(value[0], `${at}/0`) ?? second.check(value[1], `${at}/1`)
    },
  }
}

export function optional<T>(of: Shape<T>): Shape<T> & { readonly isOptional: true } {
  return { check: (value, at) => of.check(value, at), isOptional: true }
}

/** The problem of the last is told where none fits. */
export function either<A, B>(one: Shape<A>, other: Shape<B>): Shape<A | B> {
  return {
    check: (value, at) => (one.check(value, at) === undefined ? undefined : other.check(value, at)),
  }
}

/** Names of the file's own choice, with anything. */
export const anything: Shape<Record<string, unknown>> = {
  check: (value, at) => (isRecord(value) ? undefined : wrong(at, 'an object')),
}

type Fields = Readonly<Record<string, Shape<unknown>>>
type OptionalName<F extends Fields> = {
  [N in keyof F]: F[N] extends { readonly isOptional: true } ? N : never
}[keyof F]
type RecordOf<F extends Fields> = {
  [N in Exclude<keyof F, OptionalName<F>>]: TypeOf<F[N]>
} & { [N in OptionalName<F>]?: TypeOf<F[N]> }

/** Exactly these fields: an unknown one is refused by name. */
export function record<F extends Fields>(fields: F): Shape<RecordOf<F>> {
  return {
    check(value, at) {
      if (!isRecord(value)) return wrong(at, 'an object')
      const unknown = Object.keys(value).find((name) => !Object.hasOwn(fields, name))
      if (unknown !== undefined) return `${at}/${unknown} is not known here`
      return firstOf(Object.entries(fields), ([name, shape]) => {
        if (Object.hasOwn(value, name)) return shape.check(value[name], `${at}/${name}`)
        return shape.isOptional ? undefined : `${at}/${name} is missing`
      })
    },
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function firstOf<T>(
  values: readonly T[],
  problemOf: (value: T, index: number) => string | undefined,
): string | undefined {
  for (const [index, value] of values.entries()) {
    const problem = problemOf(value, index)
    if (problem !== undefined) return problem
  }
  return undefined
}
