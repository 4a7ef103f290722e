// The vocabulary as the CEL library's environment. Production only parses and checks with it; tests
// and benchmarks also evaluate, and hand in where values of calls come from.

import { Environment } from '@marcbachmann/cel-js'
import { ENTITIES } from '../aggregate.ts'
import { conditionDepthMax, conditionNodesMax, literalListElementsMax } from '../limits.ts'
import { AGGREGATE_FUNCTIONS, FACT_NAMES, RECORD_NAMES } from './vocabulary.ts'

/** Answers calls for the library's own evaluator. Throwing means unknown. */
export interface CallValues {
  /** `call` is as in `count(card, "10m")`, `distinct(card, merchant, "24h")`. */
  aggregate(call: string, kind: 'int' | 'double'): bigint | number
  inList(value: unknown, list: string): boolean
}

/**
 * CEL has a constant of its own called `type`, so the library knows the request's by this name.
 * The checker renames it in the syntax tree, where a text could not be touched without moving
 * positions.
 */
export const libraryNameOfType = 'requestType'

/** The type that stands for an entity which is no record of the request (ip, email, bin). */
function entityTypeName(entity: string): string {
  return `${entity.charAt(0).toUpperCase()}${entity.slice(1)}`
}

/** Builds the environment. Without `values` it can check conditions, and evaluation throws. */
export function celEnvironment(values?: CallValues): Environment {
  const environment = new Environment({
    limits: {
      maxAstNodes: conditionNodesMax,
      maxDepth: conditionDepthMax,
      maxListElements: literalListElementsMax,
    },
  })
  const typeNames = new Set<string>()
  for (const record of new Set([...RECORD_NAMES, ...ENTITIES])) {
    const schema: Record<string, string> = { entityName: 'string' }
    for (const fact of FACT_NAMES) {
      const [root, field] = fact.path.split('.')
      if (root === record && field !== undefined) schema[field] = fact.kind
    }
    const name = entityTypeName(record)
    typeNames.add(name)
    environment.registerType({ name, schema })
    environment.registerVariable(record, name)
  }
  for (const fact of FACT_NAMES) {
    if (fact.path.includes('.')) continue
    environment.registerVariable(fact.path === 'type' ? libraryNameOfType : fact.path, fact.kind)
  }
  registerCalls(environment, values)
  return environment
}

function registerCalls(environment: Environment, values: CallValues | undefined): void {
  const answers: CallValues = values ?? {
    aggregate: () => {
      throw new Error('this environment only checks')
    },
    inList: () => {
      throw new Error('this environment only checks')
    },
  }
  for (const { name, kind } of AGGREGATE_FUNCTIONS) {
    if (name === 'distinct') {
      environment.registerFunction(
        `distinct(dyn, dyn, string): ${kind}`,
        (entity: unknown, of: unknown, window: string) =>
          answers.aggregate(`distinct(${entityOf(entity)}, ${entityOf(of)}, "${window}")`, kind),
      )
    } else {
      environment.registerFunction(
        `${name}(dyn, string): ${kind}`,
        (entity: unknown, window: string) =>
          answers.aggregate(`${name}(${entityOf(entity)}, "${window}")`, kind),
      )
    }
  }
  environment.registerFunction('inList(dyn, string): bool', (value: unknown, list: string) =>
    answers.inList(value, list),
  )
}

/** An entity value names itself: contexts for evaluation give each record an `entityName`. */
function entityOf(value: unknown): string {
  if (value instanceof Map) return String(value.get('entityName'))
  return String((value as { entityName?: unknown }).entityName)
}
