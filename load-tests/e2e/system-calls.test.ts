import assert from 'node:assert/strict'
import test from 'node:test'
import { judgeOrder, readSystemCalls, type SystemCall } from './system-calls.ts'

const question = {
  isRecord: (call: SystemCall) => call.file.endsWith('.log') && call.data.includes('key-1'),
  isEffect: (call: SystemCall) => call.file.startsWith('socket') && call.data.includes('0100'),
}

const judge = (...lines: string[]) => judgeOrder(readSystemCalls(lines.join('\n')), question).kind

const record = '11  pwrite64(20</d/store/0.log>, "..key-1..", 300, 40) = 300'
const flush = '12  fdatasync(20</d/store/0.log>) = 0'
const effect = '10  write(30<socket:[77]>, "\\0\\2000100...", 120) = 120'

test('record, flush, effect', () => {
  assert.equal(judge(record, flush, effect), 'durable_first')
})

test('calls of several threads that overlap are put together again', () => {
  assert.equal(
    judge(
      '11  pwrite64(20</d/store/0.log>, "..key-1..", 300, 40 <unfinished ...>',
      '10  write(31<pipe:[1]>, "x", 1) = 1',
      '11  <... pwrite64 resumed>) = 300',
      '12  fdatasync(20</d/store/0.log> <unfinished ...>',
      '12  <... fdatasync resumed>) = 0',
      effect,
    ),
    'durable_first',
  )
})

const wrong: Readonly<Record<string, readonly string[]>> = {
  'no flush': [record, effect],
  'the flush after the effect': [record, effect, flush],
  'the flush before the record': [flush, record, effect],
  'the effect before the record': [effect, record, flush],
  'a flush of another file': [record, flush.replace('0.log', '1.log'), effect],
  'a flush that failed': [record, flush.replace('= 0', '= -1 EIO'), effect],
  'a flush that returned too late': [
    record,
    '12  fdatasync(20</d/store/0.log> <unfinished ...>',
    effect,
    '12  <... fdatasync resumed>) = 0',
  ],
  'a flush that began before the record was written': [
    '12  fdatasync(20</d/store/0.log> <unfinished ...>',
    record,
    '12  <... fdatasync resumed>) = 0',
    effect,
  ],
}

for (const [name, lines] of Object.entries(wrong)) {
  test(`catches ${name}`, () => assert.equal(judge(...lines), 'effect_first'))
}

test('says when there was nothing to judge', () => {
  assert.equal(judge(record, flush), 'no_effect')
  assert.equal(judge(flush, effect), 'no_record')
})
