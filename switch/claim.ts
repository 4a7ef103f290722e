// Step: make the intent durable, with its first attempt, before anything else counts.

import { hash } from 'node:crypto'
import type { ScoringRequest } from '#scoring'
import type { OpenCard } from './card-data/index.ts'
import { mustBeTaken } from './first-answer.ts'
import { type Issuer, NO_STAN, type TracePurpose } from './issuers/index.ts'
import type {
  AuthorizationRequest,
  AuthorizationType,
  Channel,
  EntryMode,
  StoredAuthorization,
} from './message.ts'
import { isInquiry } from './payment.ts'
import type { Route } from './route.ts'
import type { Attempt, Intent } from './store/index.ts'
import type { RunningAuthorization } from './transaction.ts'
import type { Acquirer, World } from './world.ts'

/** What is known before the claim. */
export interface Asked {
  readonly acquirer: Acquirer
  readonly idempotencyKey: string
  readonly fingerprint: Uint8Array
  readonly request: AuthorizationRequest
  readonly card: OpenCard
  readonly cardToken: string
  readonly stored: StoredAuthorization
  /** The same as JSON. */
  readonly storedText: string
  /** W3C Trace Context, where the acquirer sent it. */
  readonly traceparent: string | undefined
}

interface WireKind {
  readonly mti: '0100' | '0200'
  /** DE3, ISO 8583:1987: transaction type, then account types from and to. */
  readonly processingCode: string
}

export const WIRE_KINDS: Readonly<Record<AuthorizationType, WireKind>> = {
  authorization: { mti: '0100', processingCode: '000000' },
  preauthorization: { mti: '0100', processingCode: '000000' },
  sale: { mti: '0200', processingCode: '000000' },
  cash_withdrawal: { mti: '0200', processingCode: '010000' },
  balance_inquiry: { mti: '0100', processingCode: '310000' },
  account_verification: { mti: '0100', processingCode: '330000' },
}

/** DE22: two digits how the PAN was read, one what the terminal can do with a PIN. */
export const WIRE_ENTRY_MODES: Readonly<Record<EntryMode, string>> = {
  chip: '051',
  contactless: '071',
  magstripe: '901',
  manual: '010',
  ecommerce: '810',
  stored: '100',
}

/** DE22 where the request doesn't say: unknown, PIN capability unknown. */
const ENTRY_MODE_UNKNOWN = '000'

/** DE25 (ISO 8583:1987) of a channel. That of a pre-authorization is another. */
export const WIRE_CONDITIONS: Readonly<Record<Channel, string>> = {
  pos: '00',
  ecommerce: '59',
  atm: '02',
  moto: '08',
  recurring: '00',
  qr: '00',
}

/** What is told has numbers of the reserve, and the MTI of an advice. */
export type Saying = 'asked' | 'told'

/**
 * Draws identity and trace numbers and builds everything that later steps read. No effect yet.
 * `told`: the issuer is told of it by an advice, not asked.
 */
export function prepare(
  world: World,
  asked: Asked,
  route: Route | undefined,
  saying: Saying = 'asked',
): RunningAuthorization {
  const id = world.identifiers.next(saying === 'asked' ? 'auth_' : 'adv_')
  const arrivedAtMs = world.clock.now()
  const issuer = route === undefined ? undefined : world.issuers.get(route[0])
  const attempt = issuer === undefined ? null : attemptAt(world, asked, issuer, saying)
  if (attempt !== null) world.attemptOwners.set(attempt, id)
  return {
    id,
    ...asked,
    scoring: scoringRequest(id, arrivedAtMs, asked),
    route: route ?? [],
    issuer,
    attempt,
    rrn: asked.request.rrn ?? attempt?.rrn ?? rrnOf(id),
    arrivedAtMs,
    startedMs: world.clock.monotonic(),
  }
}

/** DE37 where no issuer is asked: twelve digits, always the same for one id. */
function rrnOf(id: string): string {
  const number = hash('sha256', id, 'buffer').readUIntBE(0, 6) % 1e12
  return String(number).padStart(12, '0')
}

/** False where every STAN toward the issuer is pending or rests: nothing may be claimed then. */
export function hasTraceNumber(running: RunningAuthorization): boolean {
  return running.attempt?.stan !== NO_STAN
}

/** Durable when it resolves. Rejects with StoreFault, or KeyTaken. */
export async function claim(world: World, running: RunningAuthorization): Promise<void> {
  const kind = isInquiry(running.request.type) ? 'inquiry' : 'financial'
  const result = await world.store.claim(intentOf(running, kind))
  mustBeTaken(result)
  world.journal.step('claim', world.clock.monotonic() - running.startedMs)
}

export function intentOf(running: RunningAuthorization, kind: Intent['kind']): Intent {
  return {
    id: running.id,
    kind,
    acquirer: running.acquirer.id,
    idempotencyKey: running.idempotencyKey,
    fingerprint: running.fingerprint,
    createdAtMs: running.arrivedAtMs,
    rrn: running.rrn,
    cardToken: running.cardToken,
    request: running.stored as unknown as Intent['request'],
    requestText: running.storedText,
    attempt: running.attempt,
  }
}

/** Whether the issuer was asked about the card alone; told by DE3, which every attempt keeps. */
export function isVerification({ processingCode }: Pick<Attempt, 'processingCode'>): boolean {
  return processingCode === WIRE_KINDS.account_verification.processingCode
}

/** One try at one issuer, in numbers of our own; NO_STAN where none is free. */
export function attemptAt(
  world: World,
  asked: Asked,
  issuer: Issuer,
  saying: Saying = 'asked',
): Attempt {
  const { request, acquirer, card } = asked
  const trace = issuer.drawTraceNumbers(PURPOSES[saying])
  const kind = WIRE_KINDS[request.type]
  const mode = request.terminal.entryMode
  const { initialReference } = request
  return {
    issuer: issuer.name,
    mti: saying === 'asked' ? kind.mti : adviceMti(kind.mti),
    processingCode: kind.processingCode,
    stan: trace.stan,
    transmittedAt: trace.transmittedAt,
    rrn: trace.rrn,
    acquiringInstitution: acquirer.institution,
    amount: request.amount,
    currencyNumeric: request.currencyNumeric,
    terminalId: (request.terminal.id ?? '').padEnd(8),
    merchantId: request.merchant.id.padEnd(15),
    merchantNameLocation: nameAndLocation(request.merchant),
    mcc: request.merchant.mcc,
    entryMode: mode === undefined ? ENTRY_MODE_UNKNOWN : WIRE_ENTRY_MODES[mode],
    card: world.vault.seal(card),
    conditionCode: WIRE_CONDITIONS[request.channel],
    ...(request.type === 'preauthorization' ? { isPreauthorization: true } : {}),
    ...(initialReference === undefined ? {} : { initialReference }),
  }
}

const PURPOSES: Readonly<Record<Saying, TracePurpose>> = { asked: 'request', told: 'reversal' }

/** What tells an issuer of what it was not asked: 0100 gives 0120, 0200 gives 0220. */
export function adviceMti(mti: string): '0120' | '0220' {
  return mti.startsWith('01') ? '0120' : '0220'
}

/** DE43 (ISO 8583:1987): name 25 characters, city 13, country 2; ASCII, accents taken off. */
export function nameAndLocation(merchant: AuthorizationRequest['merchant']): string {
  return (
    wireField(merchant.name, 25) + wireField(merchant.city, 13) + wireField(merchant.country, 2)
  )
}

/** Nothing to take off in most: one look is a fifth of the work. */
const PRINTABLE_ASCII = /^[ -~]*$/

function wireField(value: string | undefined, length: number): string {
  if (value === undefined) return ' '.repeat(length)
  if (PRINTABLE_ASCII.test(value)) return value.slice(0, length).padEnd(length)
  return value
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .replace(/[^ -~]/g, '?')
    .slice(0, length)
    .padEnd(length)
}

/** The identity of an attempt's velocity event: 64 bits as 16 hex digits. */
export function eventHashOf(acquirer: string, idempotencyKey: string): string {
  return hash('sha256', `${acquirer}\n${idempotencyKey}`, 'hex').slice(0, 16)
}

/** What scoring is asked: tokens and BIN, never a PAN. */
function scoringRequest(id: string, arrivedAtMs: number, asked: Asked): ScoringRequest {
  const { request, card, cardToken, acquirer, idempotencyKey } = asked
  const country = request.card.country
  return {
    id,
    eventHash: eventHashOf(acquirer.id, idempotencyKey),
    arrivedAtMs,
    acquirer: acquirer.id,
    type: request.type,
    amount: request.amount,
    currency: request.currency,
    channel: request.channel,
    card: {
      token: cardToken,
      bin: card.pan.bin,
      expiry: card.expiry,
      ...(country === undefined ? {} : { country }),
    },
    merchant: request.merchant,
    terminal: request.terminal,
    device: request.device,
    customer: request.customer,
    threeDs: request.threeDs,
  }
}
