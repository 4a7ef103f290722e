// What every issuer must keep, however it is reached. A test calls `testIssuer` with a way to make a
// rig: an issuer of that kind before a peer that behaves as it is told, on virtual time.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Pan } from '../card-data/index.ts'
import { attemptAt, reversalAt } from '../simulation/index.ts'
import type { IssuerWithState } from './create-issuer.ts'
import type { LateIssuerAnswer } from './issuer.ts'
import type { IssuerEvent } from './issuer-events.ts'
import { NO_STAN } from './trace-numbers.ts'

/** What the peer does with each message but signs of life. */
export type PeerBehaviour =
  | {
      readonly kind: 'answers'
      readonly code: string
      readonly afterMs: number
      readonly rrn?: string
    }
  | { readonly kind: 'silent' }

export interface IssuerRig {
  readonly issuer: IssuerWithState
  readonly late: readonly LateIssuerAnswer[]
  readonly events: readonly IssuerEvent[]
  /** MTIs in the words of 1987, STANs and RRNs as they came; no signs of life. */
  readonly received: () => readonly { readonly mti: string; readonly stan: string }[]
  behave(behaviour: PeerBehaviour): void
  /** Nobody can reach the peer; or again. */
  isolate(isAway: boolean): void
  /** Ends connections with what is in flight on them. */
  cut(): void
  advance(ms: number): Promise<void>
}

const card = { pan: Pan.parse('4761739001010119') as Pan, expiry: '2912', cvv: undefined }

function watch<Result>(promise: Promise<Result>): { result: Result | undefined } {
  const watched: { result: Result | undefined } = { result: undefined }
  void promise.then((result) => {
    watched.result = result
  })
  return watched
}

const TIMEOUT_MS = 1_000

/** `createRig`: `timeoutMs` 1,000, a late answer taken for at least 2,000 after it; it is up. */
export function testIssuer(name: string, createRig: () => Promise<IssuerRig>): void {
  describe(name, () => {
    it('asks once and hands the answer over', async () => {
      const { issuer, received, behave, advance } = await createRig()
      behave({ kind: 'answers', code: '00', afterMs: 10 })
      const attempt = attemptAt(issuer)
      const asked = watch(issuer.ask(attempt, card, TIMEOUT_MS))
      await advance(50)
      assert.ok(asked.result?.kind === 'answered')
      assert.equal(asked.result.answer.responseCode, '00')
      assert.equal(asked.result.answer.amount, 2_599)
      assert.deepEqual(received(), [{ mti: '0100', stan: attempt.stan }])
      assert.equal(issuer.state.inFlight, 0)
    })

    it('no answer in time is unknown, never sent again, and late where it comes', async () => {
      const { issuer, late, received, behave, advance } = await createRig()
      behave({ kind: 'answers', code: '00', afterMs: 2_000 })
      const attempt = attemptAt(issuer)
      const asked = watch(issuer.ask(attempt, card, TIMEOUT_MS))
      await advance(TIMEOUT_MS - 10)
      assert.equal(asked.result, undefined)
      await advance(20)
      assert.deepEqual(asked.result, { kind: 'unknown', why: 'timeout' })
      await advance(1_500)
      assert.equal(late.length, 1)
      assert.equal(late[0]?.attempt, attempt)
      assert.equal(received().length, 1)
    })

    it('a connection lost in flight is unknown at once', async () => {
      const { issuer, received, behave, advance, cut } = await createRig()
      behave({ kind: 'silent' })
      const asked = watch(issuer.ask(attemptAt(issuer), card, TIMEOUT_MS))
      await advance(20)
      cut()
      await advance(20)
      assert.deepEqual(asked.result, { kind: 'unknown', why: 'connection_lost' })
      assert.equal(received().length, 1)
    })

    it('who can’t be reached is certainly not sent to, and is found again', async () => {
      const { issuer, received, behave, advance, isolate, cut } = await createRig()
      behave({ kind: 'answers', code: '00', afterMs: 1 })
      isolate(true)
      cut()
      const first = watch(issuer.ask(attemptAt(issuer), card, TIMEOUT_MS))
      await advance(100)
      assert.deepEqual(first.result, { kind: 'not_sent' })
      assert.equal(issuer.isUp, false)
      assert.deepEqual(await issuer.ask(attemptAt(issuer), card, TIMEOUT_MS), {
        kind: 'not_sent',
      })
      isolate(false)
      await advance(20_000)
      assert.equal(issuer.isUp, true)
      assert.equal(received().length, 0)
    })

    it('an answer with another’s number is nobody’s, named beside the nearest', async () => {
      const { issuer, events, behave, advance } = await createRig()
      behave({ kind: 'answers', code: '00', afterMs: 1, rrn: '632610999999' })
      const attempt = attemptAt(issuer)
      const asked = watch(issuer.ask(attempt, card, TIMEOUT_MS))
      await advance(TIMEOUT_MS + 50)
      assert.equal(asked.result?.kind, 'unknown')
      const event = events.find(({ kind }) => kind === 'unmatched_answer')
      assert.ok(event?.kind === 'unmatched_answer')
      assert.equal(event.field, '37')
      assert.equal(event.candidate?.stan, attempt.stan)
      assert.ok(!JSON.stringify(event).includes(card.pan.reveal()))
      assert.equal(issuer.state.counters.unmatched, 1)
    })

    it('delivers reversals with numbers of their own, repeats marked', async () => {
      const { issuer, received, behave, advance } = await createRig()
      behave({ kind: 'answers', code: '00', afterMs: 1 })
      const message = reversalAt(issuer, attemptAt(issuer))
      for (const isRepeat of [false, true]) {
        const delivered = watch(issuer.deliver(message, card, isRepeat, TIMEOUT_MS))
        await advance(50)
        assert.deepEqual(delivered.result, { kind: 'answered', responseCode: '00' })
      }
      assert.equal(new Set(received().map(({ stan }) => stan)).size, 1)
      assert.deepEqual(
        received().map(({ mti }) => mti),
        ['0420', '0421'],
      )
    })

    it('time-outs in a row open the breaker; signs of life let trials through', async () => {
      const { issuer, behave, advance } = await createRig()
      behave({ kind: 'silent' })
      for (let i = 0; i < 3; i++) void issuer.ask(attemptAt(issuer), card, TIMEOUT_MS)
      await advance(TIMEOUT_MS + 10)
      assert.deepEqual(issuer.connections, ['open'])
      const refused = await issuer.ask(attemptAt(issuer), card, TIMEOUT_MS)
      assert.deepEqual(refused, { kind: 'not_sent' })
      await advance(1_500)
      assert.deepEqual(issuer.connections, ['half_open'])
      behave({ kind: 'answers', code: '00', afterMs: 1 })
      const trial = watch(issuer.ask(attemptAt(issuer), card, TIMEOUT_MS))
      await advance(50)
      assert.equal(trial.result?.kind, 'answered')
      assert.deepEqual(issuer.connections, ['up'])
    })

    it('without a number or time nothing leaves; a number asked with twice is a bug', async () => {
      const { issuer, received, behave, advance } = await createRig()
      behave({ kind: 'silent' })
      const attempt = attemptAt(issuer)
      const notSent = { kind: 'not_sent' }
      assert.deepEqual(await issuer.ask({ ...attempt, stan: NO_STAN }, card, TIMEOUT_MS), notSent)
      assert.deepEqual(await issuer.ask(attempt, card, 0), notSent)
      await advance(10)
      assert.equal(received().length, 0)
      void issuer.ask(attempt, card, TIMEOUT_MS)
      assert.throws(() => void issuer.ask(attempt, card, TIMEOUT_MS), /was asked with already/)
    })

    it('close lets what is in flight end and then takes nothing more', async () => {
      const { issuer, behave, advance } = await createRig()
      behave({ kind: 'answers', code: '05', afterMs: 100 })
      const asked = watch(issuer.ask(attemptAt(issuer), card, TIMEOUT_MS))
      await advance(10)
      const closed = watch(issuer.close().then(() => true))
      await advance(50)
      assert.equal(closed.result, undefined)
      await advance(5_000)
      assert.equal(asked.result?.kind, 'answered')
      assert.equal(closed.result, true)
      assert.deepEqual(await issuer.ask(attemptAt(issuer), card, TIMEOUT_MS), {
        kind: 'not_sent',
      })
    })
  })
}
