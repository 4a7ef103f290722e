// The plain stack: what a team would build of the usual parts in the usual way, with the work of
// one authorization: counters, model, rules, issuer. Nothing is durable, no key is remembered.
//
//   node --import tsx load-tests/peers/plain.ts REDIS_URL ISSUER_PORT MODEL_FILE
//
// Prints `{"ready":true,"port":N}`; ends with its standard input.

import fastify from 'fastify'
import { Redis } from 'ioredis'
import { Engine } from 'json-rules-engine'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { Pool } from 'undici'

const [redisUrl = '', issuerPort = '', modelFile = ''] = process.argv.slice(2)

/** What it reads of the request; the rest of the contract passes by. */
interface Authorization {
  readonly amount: number
  readonly channel: string
  readonly card: { readonly pan: string; readonly country?: string }
  readonly merchant: { readonly id: string; readonly mcc: string; readonly country?: string }
  readonly terminal?: { readonly id: string }
  readonly device?: { readonly id: string }
}

const windowsSeconds = [600, 3_600, 86_400, 604_800]
const entities = 5
const repliesOfWindow = 4
const rulesCount = 100

const app = fastify()
const redis = new Redis(redisUrl)
const issuer = new Pool(`http://127.0.0.1:${issuerPort}`, { connections: 32 })
const model = await InferenceSession.create(modelFile, {
  ...{ intraOpNumThreads: 1, interOpNumThreads: 1 },
})
const featureCount = featuresOf(model)
const engine = rulesEngine()

app.post('/v1/authorizations', async ({ body }) => {
  const request = body as Authorization
  const counts = await count(request)
  const score = await scoreOf(request, counts)
  const facts = {
    ...{ amount: request.amount, mcc: request.merchant.mcc, channel: request.channel },
    ...{ country: request.merchant.country, cardCountry: request.card.country, score },
    ...Object.fromEntries(counts.map((value, i) => [`count${i}`, value])),
  }
  const { events } = await engine.run(facts)
  if (events.some(({ type }) => type === 'decline')) return answer(request, '59', '', score)
  const { body: reply } = await issuer.request({
    path: '/authorize',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  })
  const said = (await reply.json()) as { responseCode: string; approvalCode: string }
  return answer(request, said.responseCode, said.approvalCode, score)
})

/** Attempts of each entity in each window, this one included. */
async function count(request: Authorization): Promise<number[]> {
  const nowSeconds = Math.floor(Date.now() / 1000)
  const pipeline = redis.pipeline()
  for (const entity of [
    `card:${request.card.pan}`,
    `device:${request.device?.id}`,
    `terminal:${request.terminal?.id}`,
    `merchant:${request.merchant.id}`,
    `bin:${request.card.pan.slice(0, 8)}`,
  ]) {
    for (const seconds of windowsSeconds) {
      const key = `${entity}:${seconds}:${Math.floor(nowSeconds / seconds)}`
      pipeline.incr(key)
      pipeline.incrby(`${key}:sum`, request.amount)
      pipeline.expire(key, seconds * 2)
      pipeline.expire(`${key}:sum`, seconds * 2)
    }
  }
  const replies = (await pipeline.exec()) ?? []
  return Array.from({ length: entities * windowsSeconds.length }, (_, i) =>
    Number(replies[i * repliesOfWindow]?.[1]),
  )
}

async function scoreOf(request: Authorization, counts: readonly number[]): Promise<number> {
  const features = new Float32Array(featureCount)
  features[0] = Math.log1p(request.amount)
  features.set(counts, 1)
  const { probabilities } = await model.run(
    { features: new Tensor('float32', features, [1, featureCount]) },
    ['probabilities'],
  )
  return Number(probabilities?.data[1])
}

function featuresOf(session: InferenceSession): number {
  const [input] = session.inputMetadata
  const width = input?.isTensor === true ? input.shape[1] : undefined
  if (typeof width !== 'number') throw new Error('the model has no fixed number of features')
  return width
}

/** Three comparisons each; far from what the load does, so that it is approved. */
function rulesEngine(): Engine {
  const engine = new Engine([], { allowUndefinedFacts: true })
  for (let i = 0; i < rulesCount; i++) {
    const limits = [
      { fact: 'amount', operator: 'greaterThanInclusive', value: 100_000 + i * 500 },
      { fact: 'channel', operator: 'equal', value: i % 2 === 0 ? 'ecommerce' : 'pos' },
      { fact: `count${i % 20}`, operator: 'greaterThanInclusive', value: 20 + i },
    ]
    engine.addRule({ conditions: { all: limits }, event: { type: 'decline' } })
  }
  return engine
}

function answer(request: Authorization, responseCode: string, approvalCode: string, score: number) {
  return {
    ...{ id: 'plain', type: 'authorization', responseCode, approvalCode, amount: request.amount },
    ...{ outcome: responseCode === '00' ? 'approved' : 'declined', currency: 'EUR' },
    ...{ issuer: 'plain', standIn: false },
    risk: { outcome: 'approve', score, reasons: [], degraded: [] },
  }
}

const url = await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`{"ready":true,"port":${new URL(url).port}}\n`)
process.stdin.resume().on('end', () => process.exit(0))
