// An authorization request as the switch understands it: its schema, its checks, its one form for
// comparison and storage. HTTP JSON and MessagePack come in here, and what is read of ISO 8583.

import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { currencyByCode, nearest } from '#rules'
import { Pan } from './card-data/index.ts'
import { type Refusal, refuse } from './errors.ts'
import type { PassThrough } from './issuers/index.ts'
import { AMOUNT_MAX } from './limits.ts'

export const AUTHORIZATION_TYPES = [
  'authorization',
  'preauthorization',
  'sale',
  'cash_withdrawal',
  'balance_inquiry',
  'account_verification',
] as const
export type AuthorizationType = (typeof AUTHORIZATION_TYPES)[number]

export const CHANNELS = ['pos', 'ecommerce', 'atm', 'moto', 'recurring', 'qr'] as const
export type Channel = (typeof CHANNELS)[number]

export const ENTRY_MODES = [
  'chip',
  'contactless',
  'magstripe',
  'manual',
  'ecommerce',
  'stored',
] as const
export type EntryMode = (typeof ENTRY_MODES)[number]

const THREE_DS_STATUSES = ['authenticated', 'attempted', 'failed', 'unavailable'] as const

const closed = { additionalProperties: false } as const
/** Printable, no control characters: what may stand in a log line and on an ISO 8583 link. */
const text = (maxLength: number) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[^\\u0000-\\u001f\\u007f]+$' })
/** Printable ASCII without spaces at its ends: DE41, DE42 and DE37 carry it as it is. */
const wireText = (maxLength: number) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[!-~]([ -~]*[!-~])?$' })
const country = Type.String({ pattern: '^[A-Z]{2}$' })

/** ISO/IEC 7813: an expiry is YYMM. CVV2 has three digits, four at one scheme. */
const CardSchema = Type.Object(
  {
    pan: Type.Optional(Type.String({ minLength: 1, maxLength: 19 })),
    expiry: Type.Optional(Type.String({ minLength: 1, maxLength: 4 })),
    cvv: Type.Optional(Type.String({ pattern: '^[0-9]{3,4}$' })),
    country: Type.Optional(country),
    token: Type.Optional(Type.String({ pattern: '^tok_[A-Za-z0-9_-]{22}$' })),
  },
  closed,
)

export const AuthorizationSchema = Type.Object(
  {
    type: Type.Optional(Type.Enum([...AUTHORIZATION_TYPES])),
    amount: Type.Integer({ minimum: 0, maximum: AMOUNT_MAX }),
    currency: Type.String({ pattern: '^[A-Z]{3}$' }),
    channel: Type.Enum([...CHANNELS]),
    card: CardSchema,
    merchant: Type.Object(
      {
        id: wireText(15),
        name: Type.Optional(text(100)),
        mcc: Type.String({ pattern: '^[0-9]{4}$' }),
        city: Type.Optional(text(100)),
        country: Type.Optional(country),
        latitude: Type.Optional(Type.Number({ minimum: -90, maximum: 90 })),
        longitude: Type.Optional(Type.Number({ minimum: -180, maximum: 180 })),
        timeZone: Type.Optional(text(64)),
      },
      closed,
    ),
    terminal: Type.Optional(
      Type.Object(
        { id: Type.Optional(wireText(8)), entryMode: Type.Optional(Type.Enum([...ENTRY_MODES])) },
        closed,
      ),
    ),
    device: Type.Optional(
      Type.Object(
        {
          id: Type.Optional(text(128)),
          ip: Type.Optional(Type.String({ pattern: '^[0-9A-Fa-f:.]{2,45}$' })),
          ipCountry: Type.Optional(country),
          userAgent: Type.Optional(text(512)),
        },
        closed,
      ),
    ),
    customer: Type.Optional(
      Type.Object(
        {
          id: Type.Optional(text(128)),
          email: Type.Optional(text(254)),
          country: Type.Optional(country),
        },
        closed,
      ),
    ),
    threeDs: Type.Optional(
      Type.Object(
        {
          version: Type.Optional(text(16)),
          eci: Type.Optional(Type.String({ pattern: '^[0-9]{2}$' })),
          status: Type.Optional(Type.Enum([...THREE_DS_STATUSES])),
        },
        closed,
      ),
    ),
    initialReference: Type.Optional(text(64)),
    stan: Type.Optional(Type.String({ pattern: '^[0-9]{6}$' })),
    rrn: Type.Optional(Type.String({ pattern: '^[0-9A-Za-z]{12}$' })),
    transmittedAt: Type.Optional(
      Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?Z$' }),
    ),
  },
  closed,
)

export type AuthorizationBody = Static<typeof AuthorizationSchema>

/** A request that passed every check. The PAN is in memory only. */
export interface AuthorizationRequest {
  readonly type: AuthorizationType
  /** Integer minor units of `currency`. */
  readonly amount: number
  readonly currency: string
  /** ISO 4217 numeric, three digits. */
  readonly currencyNumeric: string
  readonly channel: Channel
  readonly card: RequestCard
  readonly merchant: AuthorizationBody['merchant']
  readonly terminal: NonNullable<AuthorizationBody['terminal']>
  readonly device: NonNullable<AuthorizationBody['device']>
  readonly customer: NonNullable<AuthorizationBody['customer']>
  readonly threeDs: NonNullable<AuthorizationBody['threeDs']>
  readonly initialReference: string | undefined
  readonly stan: string | undefined
  readonly rrn: string | undefined
  readonly transmittedAt: string | undefined
}

/** By number, or by the token of an earlier answer. */
export type RequestCard =
  | {
      readonly kind: 'pan'
      readonly pan: Pan
      readonly expiry: string
      readonly cvv?: string
      readonly country?: string
      /** In memory only, as the CVV. */
      readonly passThrough?: PassThrough
    }
  | {
      readonly kind: 'token'
      readonly token: string
      readonly expiry?: string
      readonly cvv?: string
      readonly country?: string
      readonly passThrough?: PassThrough
    }

const validator = Compile(AuthorizationSchema)

/**
 * Checks a body against the schema and the rules that a schema can't say. Returns the request, or
 * the first thing wrong with its field. No message repeats a value: it could be card data.
 */
export function parseAuthorization(body: unknown): AuthorizationRequest | Refusal {
  if (!validator.Check(body)) {
    return explain(validator.Errors(body) as readonly SchemaProblem[], knownFields)
  }
  const type = body.type ?? 'authorization'
  const asksForMoney = type !== 'balance_inquiry' && type !== 'account_verification'
  if (asksForMoney && body.amount === 0) {
    return refuse('invalid_amount', `amount must be above 0 for ${type}`, 'amount')
  }
  if (!asksForMoney && body.amount !== 0) {
    return refuse('invalid_amount', `amount must be 0 for ${type}`, 'amount')
  }
  const currency = currencyByCode(body.currency)
  if (currency === undefined) {
    return refuse('invalid_currency', 'currency must be an active ISO 4217 code', 'currency')
  }
  const card = parseCard(body.card)
  if (card.kind === 'refused') return card
  return {
    type,
    amount: body.amount,
    currency: body.currency,
    currencyNumeric: currency.numeric,
    channel: body.channel,
    card,
    merchant: body.merchant,
    terminal: body.terminal ?? NOTHING,
    device: body.device ?? NOTHING,
    customer: body.customer ?? NOTHING,
    threeDs: body.threeDs ?? NOTHING,
    initialReference: body.initialReference,
    stan: body.stan,
    rrn: body.rrn,
    transmittedAt: body.transmittedAt,
  }
}

const NOTHING = Object.freeze({})

function parseCard(card: AuthorizationBody['card']): RequestCard | Refusal {
  if (card.expiry !== undefined && !/^[0-9]{2}(0[1-9]|1[0-2])$/.test(card.expiry)) {
    return refuse('invalid_expiry', 'card.expiry must be YYMM, as 2912', 'card.expiry')
  }
  const rest = {
    ...(card.cvv === undefined ? {} : { cvv: card.cvv }),
    ...(card.country === undefined ? {} : { country: card.country }),
  }
  if (card.token !== undefined) {
    if (card.pan !== undefined) {
      return refuse('invalid_field', 'give card.pan or card.token, not both', 'card.token')
    }
    const expiry = card.expiry === undefined ? {} : { expiry: card.expiry }
    return { kind: 'token', token: card.token, ...expiry, ...rest }
  }
  if (card.pan === undefined) {
    return refuse(
      'missing_field',
      'card.pan with card.expiry, or card.token, is required',
      'card.pan',
    )
  }
  if (card.expiry === undefined) {
    return refuse('missing_field', 'card.expiry is required with card.pan', 'card.expiry')
  }
  const pan = Pan.parse(card.pan)
  if (pan === undefined) {
    return refuse(
      'invalid_pan',
      'card.pan must be 12 to 19 digits that pass the Luhn check',
      'card.pan',
    )
  }
  return { kind: 'pan', pan, expiry: card.expiry, ...rest }
}

export interface SchemaProblem {
  readonly keyword: string
  readonly instancePath: string
  readonly message: string
  readonly params: object
}

/** Turns the validator's first finding into a refusal: unknown fields first, then missing ones. */
export function explain(
  problems: readonly SchemaProblem[],
  known: (parent: string) => readonly string[],
): Refusal {
  const of = (keyword: string) => problems.find((problem) => problem.keyword === keyword)
  const unknown = of('additionalProperties')
  if (unknown !== undefined) {
    const [name = ''] = (unknown.params as { additionalProperties: string[] }).additionalProperties
    const parent = fieldPath(unknown.instancePath)
    const param = parent === '' ? name : `${parent}.${name}`
    const near = nearest(name, known(parent))
    const hint = near === undefined ? '' : `; did you mean ${near}?`
    return refuse('unknown_field', `${clip(param)} is not a field${hint}`, clip(param))
  }
  const missing = of('required')
  if (missing !== undefined) {
    const [name = ''] = (missing.params as { requiredProperties: string[] }).requiredProperties
    const parent = fieldPath(missing.instancePath)
    const param = parent === '' ? name : `${parent}.${name}`
    return refuse('missing_field', `${param} is required`, param)
  }
  const first = problems[0]
  const param = fieldPath(first?.instancePath ?? '')
  if (param === '') return refuse('invalid_field', 'the body must be an object')
  const code = FIELD_CODES[param] ?? 'invalid_field'
  return refuse(code, `${param} ${describe(first)}`, param)
}

const FIELD_CODES: Readonly<
  Record<string, 'invalid_amount' | 'invalid_currency' | 'invalid_pan' | 'invalid_expiry'>
> = {
  amount: 'invalid_amount',
  currency: 'invalid_currency',
  'card.pan': 'invalid_pan',
  'card.expiry': 'invalid_expiry',
}

function describe(problem: SchemaProblem | undefined): string {
  if (problem === undefined) return 'is not valid'
  if (problem.instancePath === '/card/expiry') return 'must be YYMM, as 2912'
  if (problem.instancePath === '/amount' && problem.keyword === 'type') {
    return 'must be an integer in minor units: 2599 for 25.99'
  }
  if (problem.keyword === 'enum') {
    const { allowedValues } = problem.params as { allowedValues?: readonly string[] }
    if (allowedValues !== undefined) return `must be one of ${allowedValues.join(', ')}`
  }
  return problem.message
}

/** `/card/pan` as `card.pan`. */
function fieldPath(pointer: string): string {
  return clip(pointer.slice(1).replaceAll('/', '.'))
}

/**
 * Names come from the sender: bounded, printable and without long digits before an answer has them.
 */
export function clip(name: string): string {
  return name
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(/[0-9]{9,}/g, '*')
    .slice(0, 80)
}

function knownFields(parent: string): readonly string[] {
  const properties = AuthorizationSchema.properties as Record<string, { properties?: object }>
  return Object.keys(parent === '' ? properties : (properties[parent]?.properties ?? {}))
}

/** A request as it is compared and stored. */
export interface StoredAuthorization {
  readonly type: AuthorizationType
  readonly amount: number
  readonly currency: string
  readonly channel: Channel
  readonly card: {
    readonly token: string
    readonly masked: string
    readonly bin: string
    readonly country: string | undefined
  }
  readonly merchant: Readonly<Record<string, unknown>>
  readonly terminal: Readonly<Record<string, unknown>>
  readonly device: Readonly<Record<string, unknown>>
  readonly customer: Readonly<Record<string, unknown>>
  readonly threeDs: Readonly<Record<string, unknown>>
  readonly initialReference: string | undefined
  readonly stan: string | undefined
  readonly rrn: string | undefined
  readonly transmittedAt: string | undefined
}

/** The record's own words, of an authorization's intent; `storedRequest` wrote them. */
export function storedAuthorization({
  request,
}: {
  readonly request: unknown
}): StoredAuthorization {
  return request as StoredAuthorization
}

/** What is kept of a request: everything but PAN, expiry and CVV. Fields in one order, always. */
export function storedRequest(
  request: AuthorizationRequest,
  cardToken: string,
  pan: Pick<Pan, 'masked' | 'bin'>,
): StoredAuthorization {
  return {
    type: request.type,
    amount: request.amount,
    currency: request.currency,
    channel: request.channel,
    card: { token: cardToken, masked: pan.masked, bin: pan.bin, country: request.card.country },
    merchant: inSchemaOrder('merchant', request.merchant),
    terminal: inSchemaOrder('terminal', request.terminal),
    device: inSchemaOrder('device', request.device),
    customer: inSchemaOrder('customer', request.customer),
    threeDs: inSchemaOrder('threeDs', request.threeDs),
    initialReference: request.initialReference,
    stan: request.stan,
    rrn: request.rrn,
    transmittedAt: request.transmittedAt,
  }
}

type Group = 'merchant' | 'terminal' | 'device' | 'customer' | 'threeDs'

const GROUP_FIELDS: Readonly<Record<Group, readonly string[]>> = {
  merchant: knownFields('merchant'),
  terminal: knownFields('terminal'),
  device: knownFields('device'),
  customer: knownFields('customer'),
  threeDs: knownFields('threeDs'),
}

/** The sender's order of fields means nothing: the schema's stands in comparison and storage. */
function inSchemaOrder(group: Group, value: object): Record<string, unknown> {
  const source = value as Record<string, unknown>
  const ordered: Record<string, unknown> = {}
  for (const name of GROUP_FIELDS[group]) {
    if (source[name] !== undefined) ordered[name] = source[name]
  }
  return ordered
}
