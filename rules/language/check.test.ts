import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createConditionChecker } from './check.ts'
import { nearest } from './nearest.ts'
import { windowSeconds, windowText } from './window.ts'

const checker = createConditionChecker(['stolen-cards', 'open-proxies'])

/** Every problem as `start code`, and all messages as one text. */
function problemsOf(text: string): { codes: string[]; messages: string } {
  const result = checker.check(text)
  if (result.ok) return { codes: [], messages: '' }
  return {
    codes: result.problems.map((problem) => `${problem.start} ${problem.code}`),
    messages: result.problems.map((problem) => problem.message).join('\n'),
  }
}

describe('a condition is refused with its place and what was expected', () => {
  const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['amout > 3', ['0 unknown_name'], /did you mean "amount"/],
    ['card.countri == "DE"', ['5 unknown_name'], /did you mean "country"/],
    ['cards.country == "DE"', ['0 unknown_name'], /did you mean "card.country"/],
    ['count(card, "10x") > 3', ['12 bad_window'], /"1m" to "30d"/],
    ['count(card, "31d") > 3', ['12 bad_window'], /"30d"/],
    ['count(card, 10) > 3', ['12 bad_window'], /literal/],
    ['cuont(card, "10m") > 3', ['0 unknown_function'], /did you mean "count"/],
    ['count(cards, "10m") > 3', ['6 bad_entity'], /did you mean "card"/],
    ['count(amount, "10m") > 3', ['6 bad_entity'], /known: card, customer/],
    ['count(card) > 3', ['0 bad_call'], /count\(card, "10m"\)/],
    ['distinct(card, card, "1h") > 1', ['0 bad_call'], /exactly one/],
    ['inList(card, "stolen-card")', ['13 unknown_list'], /did you mean "stolen-cards"/],
    ['inList(amount, "stolen-cards")', ['7 type_error'], /text/],
    ['channel == "ecomerce"', ['11 unknown_value'], /did you mean "ecommerce"/],
    ['"pos " == channel', ['0 unknown_value'], /did you mean "pos"/],
    ['card.country in ["DE", "Fr"]', ['23 unknown_value'], /two capital letters/],
    ['merchant.mcc == "541"', ['16 unknown_value'], /four digits/],
    ['3 * avg(card, "1h") > 2.0', ['0 type_error'], /write 3\.0/],
    ['amount == 3.0', ['0 type_error'], /write 3 /],
    ['amount + baseAmount', ['0 not_a_condition'], /true or false/],
    ['amount > 3 &&', ['13 syntax_error'], /ends where/],
    ['amount = 3', ['7 syntax_error'], /"=="/],
    ['amount > 99999999999999999999', ['9 number_too_big'], /9007199254740991/],
    ['card == "x"', ['0 not_a_value'], /bin, country/],
    ['ip == "x"', ['0 not_a_value'], /device\.ip/],
    ['merchant.name.matches("(a+)+$")', ['0 unknown_function'], /regular expressions/],
    ['has(amount)', ['0 bad_call'], /has\(card\.country\)/],
    ['has(card.countri)', ['9 unknown_name'], /country/],
    ['amount in 3', ['10 type_error'], /list/],
    ['amount > 1 || null == null', ['14 outside_language', '22 outside_language'], /has\(path\)/],
    ['amount > 10u', ['9 outside_language'], /unsigned/],
    ['!amount', ['1 type_error'], /true or false/],
    ['amount > 1 ? 2 : "x"', ['0 type_error'], /one kind/],
  ]
  for (const [text, codes, message] of refused) {
    test(text, () => {
      const problems = problemsOf(text)
      assert.deepEqual(problems.codes, codes)
      assert.match(problems.messages, message)
    })
  }

  // What people write who know another language: the place of the word, and what to write instead.
  const foreign: readonly (readonly [string, number, string])[] = [
    ['amount > 3 or amount < 2', 11, '"or" is no operator; write "||"'],
    ['amount > 3 and amount < 2', 11, '"and" is no operator; write "&&"'],
    ['amount > 3 AND amount < 2', 11, '"and" is no operator; write "&&"'],
    ['not has(card.country)', 0, '"not" is no operator; write "!"'],
    ['NOT (amount > 3)', 0, '"not" is no operator; write "!"'],
    ['channel not in ["pos"]', 8, 'write "!" before all of it'],
    ['amount between 3 and 5', 7, 'write ">= ... && <= ..."'],
    ['amount >= 3 && <= 5', 15, 'a name or a value is missing before "<="'],
    ['channel in "pos", "atm"', 11, 'stand in brackets, as ["pos", "atm"]'],
    ['channel in ("pos", "atm")', 11, 'stand in brackets, as ["pos", "atm"]'],
    ['count(card, 24h) > 3', 12, 'a window stands in quotes; write "24h"'],
    ['channel <> "pos"', 8, '"<>" is no operator; write "!="'],
    ['amount => 3', 7, '"=>" is no operator; write ">="'],
    ['amount =< 3', 7, '"=<" is no operator; write "<="'],
    ['amount > = 3', 7, 'write ">=" in one'],
    ['amount === 3', 7, '"===" is no operator; write "=="'],
    ['if amount > 3', 0, 'leave out "if"'],
    ['IF amount > 3', 0, 'leave out "if"'],
    ['if (amount > 3)', 0, 'leave out "if"'],
    ['amount > 100,00', 9, 'decimals take a dot'],
    ['amount > 100 EUR', 9, 'a number stands without "EUR"'],
    ['amount > 10k', 9, 'without "k"'],
    ['channel == “pos”', 11, 'straight quotes'],
    ['(amount > 3', 11, '")" is missing at the end'],
    ['count(card "24h") > 3', 11, 'expected ")", found "24h"'],
    ['amount > 3)', 10, '")" has no place here'],
    ['card. == 3', 6, 'expected a name, found "=="'],
    ['&& amount > 3', 0, 'a name or a value is missing before "&&"'],
    ['amount > 3 amount < 5', 11, 'an operator is missing before "amount"'],
    ['channel == pos', 11, 'unknown name "pos"; as text it is "pos"'],
    ['DE != card.country', 0, 'unknown name "DE"; as text it is "DE"'],
    ['channel in ["pos", atm]', 19, 'unknown name "atm"; as text it is "atm"'],
  ]
  for (const [text, start, message] of foreign) {
    test(`${text}: ${message}`, () => {
      const result = checker.check(text)
      assert.ok(!result.ok)
      assert.equal(result.problems.length, 1)
      assert.equal(result.problems[0]?.start, start)
      assert.ok(result.problems[0]?.message.includes(message), result.problems[0]?.message)
    })
  }

  test('with all its problems at once', () => {
    const { codes } = problemsOf('amout > 3 && chanel == "pos" || count(crad, "1y") > 2')
    const expected = ['0 unknown_name', '13 unknown_name', '38 bad_entity', '44 bad_window']
    assert.deepEqual(codes, expected)
  })

  test('when it is too long or too deep', () => {
    assert.deepEqual(problemsOf(`amount > ${'1'.repeat(5_000)}`).codes, ['0 condition_too_long'])
    const deep = `${'('.repeat(200)}amount > 1${')'.repeat(200)}`
    assert.match(problemsOf(deep).codes[0] ?? '', /syntax_error/)
    const long = Array.from({ length: 300 }, (_, n) => String(n)).join(', ')
    assert.match(problemsOf(`amount in [${long}]`).codes[0] ?? '', /syntax_error/)
  })
})

test('readings are what a decision explains, each once', () => {
  const result = checker.check(
    'type == "sale" && count(card,  "10m") >= 8 && amount > 1 && amount < count(card,  "10m")',
  )
  assert.ok(result.ok)
  const labels = result.condition.readings.map((reading) => reading.label)
  assert.deepEqual(labels, ['type', 'count(card, "10m")', 'amount'])
})

test('any text is answered, never thrown at', () => {
  const pieces = fc.constantFrom(
    ...['amount', 'card', '.', 'country', '(', ')', '[', ']', ',', '"10m"', '==', '&&', '!', '-'],
    ...['or', ' not ', '24h', '<', '='],
    ...['count', 'has', 'inList', '1', '2.5', '?', ':', 'in', '\\', "'", ' ', '\n', '\u2028', '💳'],
  )
  const texts = fc.oneof(
    fc.array(pieces, { maxLength: 30 }).map((parts) => parts.join('')),
    fc.string({ maxLength: 60 }),
  )
  fc.assert(
    fc.property(texts, (text) => {
      const result = checker.check(text)
      if (result.ok) return
      assert.ok(result.problems.length > 0)
      for (const { start, message } of result.problems) {
        assert.ok(start >= 0 && start <= text.length)
        assert.ok(message.length > 0)
        assert.doesNotMatch(message, /RPAREN|RBRACKET|IDENTIFIER|COMMA|COLON/)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('windows', () => {
  assert.equal(windowSeconds('10m'), 600)
  assert.equal(windowSeconds('24h'), 86_400)
  assert.equal(windowSeconds('30d'), 2_592_000)
  for (const bad of ['0m', '31d', '721h', '60s', '10', 'm', '-1h', '1.5h', '10 m', '']) {
    assert.equal(windowSeconds(bad), undefined, bad)
  }
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 43_200 }), (minutes) => {
      assert.equal(windowSeconds(windowText(minutes * 60)), minutes * 60)
    }),
  )
})

test('the nearest word is near', () => {
  const known = ['amount', 'baseAmount', 'channel', 'currency']
  assert.equal(nearest('amuont', known), 'amount')
  assert.equal(nearest('AMOUNT', known), 'amount')
  assert.equal(nearest('chanel', known), 'channel')
  assert.equal(nearest('delay', [...known, 'delayMs']), 'delayMs')
  assert.equal(nearest('ip', ['id', 'mcc', 'stan']), 'id')
  assert.equal(nearest('a', ['mcc', 'id']), undefined)
  assert.equal(nearest('zebra', known), undefined)
  // What a stranger sends: no more of it is compared than our longest name could need.
  assert.equal(nearest('a'.repeat(60_000), known), undefined)
})
