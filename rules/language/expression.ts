// A condition after checking: every node has its kind, every name and literal is resolved.

import type { Aggregate } from '../aggregate.ts'
import type { FactName, ValueKind } from './vocabulary.ts'

export type CompareOperator = '<' | '<=' | '>' | '>='
export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%'
export type TextMethod = 'startsWith' | 'endsWith' | 'contains'

export type Expression =
  | { readonly op: 'literal'; readonly kind: ValueKind; readonly value: number | string | boolean }
  | { readonly op: 'fact'; readonly kind: ValueKind; readonly fact: FactName }
  | {
      readonly op: 'aggregate'
      readonly kind: 'int' | 'double'
      readonly aggregate: Aggregate
      readonly lowerBound: boolean
    }
  | { readonly op: 'has'; readonly kind: 'bool'; readonly fact: FactName }
  /** When the request arrived, in milliseconds since 1970. Not written in conditions. */
  | { readonly op: 'arrival'; readonly kind: 'int' }
  /** Minute of the day 0..1439, or ISO weekday 1..7, at arrival in a zone. Not written either. */
  | {
      readonly op: 'clock'
      readonly kind: 'int'
      readonly reads: 'minuteOfDay' | 'weekday'
      readonly timeZone: string
    }
  /** The card's place in a rule's roll-out, 0..9999. Not written either. */
  | { readonly op: 'share'; readonly kind: 'int'; readonly salt: number }
  | {
      readonly op: 'inList'
      readonly kind: 'bool'
      readonly list: string
      readonly value: Expression
    }
  | {
      readonly op: 'compare'
      readonly kind: 'bool'
      readonly operator: CompareOperator
      readonly left: Expression
      readonly right: Expression
    }
  | {
      readonly op: 'equal'
      readonly kind: 'bool'
      readonly negated: boolean
      readonly left: Expression
      readonly right: Expression
    }
  | {
      readonly op: 'in'
      readonly kind: 'bool'
      readonly value: Expression
      readonly items: readonly Expression[]
    }
  | {
      readonly op: 'and' | 'or'
      readonly kind: 'bool'
      readonly left: Expression
      readonly right: Expression
    }
  | { readonly op: 'not'; readonly kind: 'bool'; readonly value: Expression }
  | {
      readonly op: 'choose'
      readonly kind: ValueKind
      readonly condition: Expression
      readonly yes: Expression
      readonly no: Expression
    }
  | {
      readonly op: 'arithmetic'
      readonly kind: 'int' | 'double' | 'string'
      readonly operator: ArithmeticOperator
      readonly left: Expression
      readonly right: Expression
    }
  | { readonly op: 'negate'; readonly kind: 'int' | 'double'; readonly value: Expression }
  | { readonly op: 'convert'; readonly kind: 'int' | 'double'; readonly value: Expression }
  | { readonly op: 'size'; readonly kind: 'int'; readonly value: Expression }
  | {
      readonly op: 'text'
      readonly kind: 'bool'
      readonly method: TextMethod
      readonly value: Expression
      readonly argument: Expression
    }
  /** A value that the compiler has put into a local; never made by the checker. */
  | { readonly op: 'local'; readonly kind: ValueKind; readonly name: string }

/** A name or call that a condition reads, and how the analyst wrote it. */
export interface Reading {
  readonly label: string
  readonly expression: Extract<Expression, { op: 'fact' | 'aggregate' | 'inList' | 'has' }>
}

/** The direct children of a node, left to right. */
export function children(expression: Expression): readonly Expression[] {
  switch (expression.op) {
    case 'literal':
    case 'fact':
    case 'aggregate':
    case 'has':
    case 'local':
    case 'arrival':
    case 'clock':
    case 'share':
      return []
    case 'inList':
    case 'not':
    case 'negate':
    case 'convert':
    case 'size':
      return [expression.value]
    case 'in':
      return [expression.value, ...expression.items]
    case 'choose':
      return [expression.condition, expression.yes, expression.no]
    case 'text':
      return [expression.value, expression.argument]
    default:
      return [expression.left, expression.right]
  }
}

/** A test (compare, equal, in, inList, text) with each child replaced by `replace(child)`. */
export function withChildren(
  expression: Expression,
  replace: (child: Expression) => Expression,
): Expression {
  switch (expression.op) {
    case 'compare':
    case 'equal':
      return { ...expression, left: replace(expression.left), right: replace(expression.right) }
    case 'in':
      return {
        ...expression,
        value: replace(expression.value),
        items: expression.items.map(replace),
      }
    case 'inList':
      return { ...expression, value: replace(expression.value) }
    case 'text':
      return {
        ...expression,
        value: replace(expression.value),
        argument: replace(expression.argument),
      }
    default:
      return expression
  }
}
