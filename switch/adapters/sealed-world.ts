// While a simulation runs nothing of the real world may be touched: clocks, timers, randomness,
// files and sockets throw. What slips past the ports is found at once, and not by a run that can't
// be repeated.

import childProcess from 'node:child_process'
import crypto from 'node:crypto'
import dns from 'node:dns'
import fs from 'node:fs'
import fsPromises from 'node:fs/promises'
import http from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import os from 'node:os'
import { performance } from 'node:perf_hooks'
import timers from 'node:timers'

type Place = Record<string, unknown>

/** Every name is a function of that object which reaches outside. */
const REACHES: readonly (readonly [place: object, name: string, members: readonly string[]])[] = [
  [
    globalThis,
    'globalThis',
    ['setTimeout', 'setInterval', 'setImmediate', 'fetch', 'WebSocket', 'MessageChannel'],
  ],
  [timers, 'timers', ['setTimeout', 'setInterval', 'setImmediate']],
  [Math, 'Math', ['random']],
  [performance, 'performance', ['now']],
  [process, 'process', ['hrtime', 'exit', 'kill']],
  [
    crypto,
    'crypto',
    ['randomBytes', 'randomFill', 'randomFillSync', 'randomInt', 'randomUUID', 'getRandomValues'],
  ],
  [
    fs,
    'fs',
    ['open', 'openSync', 'readFile', 'readFileSync', 'writeFile', 'writeFileSync', 'appendFile'],
  ],
  [fs, 'fs', ['createReadStream', 'createWriteStream', 'readdirSync', 'mkdirSync', 'statSync']],
  [fsPromises, 'fs.promises', ['open', 'readFile', 'writeFile', 'readdir', 'mkdir', 'stat']],
  [net, 'net', ['connect', 'createConnection', 'createServer']],
  [http, 'http', ['request', 'get', 'createServer']],
  [dns, 'dns', ['lookup', 'resolve']],
  [childProcess, 'child_process', ['spawn', 'spawnSync', 'exec', 'execFile', 'fork']],
  [os, 'os', ['hostname']],
]

/** A call that reached past the ports. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken'
}

/** Forbids the real world in this process until the returned function is called. */
export function sealRealWorld(): () => void {
  const undo: (() => void)[] = []
  for (const [place, placeName, members] of REACHES) {
    for (const member of members)
      undo.push(forbid(place as Place, `${placeName}.${member}`, member))
  }
  undo.push(forbidDate())
  syncBuiltinESMExports()
  return () => {
    for (const restore of undo.reverse()) restore()
    syncBuiltinESMExports()
  }
}

function forbid(place: Place, name: string, member: string): () => void {
  const descriptor = Object.getOwnPropertyDescriptor(place, member)
  // Inherited (as performance.now is): hidden by a property of its own.
  if (descriptor?.configurable === false || !(member in place)) return () => {}
  Object.defineProperty(place, member, {
    configurable: true,
    enumerable: descriptor?.enumerable ?? false,
    writable: true,
    value: () => {
      throw new SealBroken(`${name} was called while a simulation runs`)
    },
  })
  return () => {
    if (descriptor === undefined) delete place[member]
    else Object.defineProperty(place, member, descriptor)
  }
}

/** `new Date(ms)` is arithmetic; `new Date()` and `Date.now()` are clocks. */
function forbidDate(): () => void {
  const RealDate = globalThis.Date
  const refuse = () => {
    throw new SealBroken('the clock was read by Date while a simulation runs')
  }
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, given) =>
      given.length === 0 ? refuse() : Reflect.construct(target, given),
    apply: refuse,
    get: (target, name, receiver) =>
      name === 'now' ? refuse : Reflect.get(target, name, receiver),
  })
  return () => {
    globalThis.Date = RealDate
  }
}
