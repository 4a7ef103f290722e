// A child process of a test or a load run. It is ended by its own handle, never by name.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { logBytesMax, stopTimeoutMs } from './limits.ts'

/** The folder that holds package.json. */
export const projectFolder = fileURLToPath(new URL('../../', import.meta.url))

export interface ChildOptions {
  /** For messages: `issuer demo-a`. */
  readonly title: string
  /** Defaults to this Node.js. */
  readonly program?: string
  readonly args: readonly string[]
  /** Laid over this process's environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /**
   * Output is appended to this file, so that it costs this process nothing; without it the output
   * is read into memory.
   */
  readonly logFile?: string
  /** Whom it runs as: for a server that refuses root. */
  readonly user?: { readonly uid: number; readonly gid: number }
}

/** Those that run: a test process that fails half way takes its children with it. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class Child {
  readonly title: string
  readonly pid: number
  readonly #process: ChildProcess
  readonly #exited: Promise<number>
  readonly #logFile: string | undefined
  #output = ''
  #hasExited = false

  private constructor(options: ChildOptions, child: ChildProcess, pid: number) {
    this.title = options.title
    this.pid = pid
    this.#process = child
    this.#logFile = options.logFile
    running.add(child)
    const keep = (chunk: string) => {
      if (this.#output.length < logBytesMax) this.#output += chunk
    }
    child.stdout?.setEncoding('utf8').on('data', keep)
    child.stderr?.setEncoding('utf8').on('data', keep)
    this.#exited = new Promise((resolve) => {
      // `close`, not `exit`: the output is whole by then.
      child.once('close', (code, signal) => {
        this.#hasExited = true
        running.delete(child)
        resolve(code ?? (signal === 'SIGKILL' ? 137 : 143))
      })
    })
  }

  static start(options: ChildOptions): Child {
    const log = options.logFile === undefined ? undefined : openSync(options.logFile, 'a', 0o600)
    const child = spawn(options.program ?? process.execPath, options.args, {
      // Another user may not be let into the project's folder.
      cwd: options.user === undefined ? projectFolder : '/',
      ...options.user,
      env: { ...process.env, ...options.env },
      // Standard input ends with this process, however it ends; an issuer then ends too.
      stdio: ['pipe', log ?? 'pipe', log ?? 'pipe'],
    })
    if (log !== undefined) closeSync(log)
    if (child.pid === undefined) throw new Error(`${options.title}: could not be started`)
    return new Child(options, child, child.pid)
  }

  /** Standard output and error so far. */
  get logs(): string {
    return this.#logFile === undefined ? this.#output : readFileSync(this.#logFile, 'utf8')
  }

  get hasExited(): boolean {
    return this.#hasExited
  }

  /** Resolves with the exit code; 137 after SIGKILL, 143 after another signal. */
  get exited(): Promise<number> {
    return this.#exited
  }

  /** Sends one signal. False: it is gone already. */
  signal(signal: NodeJS.Signals): boolean {
    return !this.#hasExited && this.#process.kill(signal)
  }

  /** Ends it now and waits until it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number> {
    this.signal(signal)
    return this.#exited
  }

  /** SIGTERM, then SIGKILL when it takes too long. A stopped child is continued first. */
  async stop(): Promise<number> {
    this.signal('SIGCONT')
    this.signal('SIGTERM')
    const timer = setTimeout(() => this.signal('SIGKILL'), stopTimeoutMs)
    const code = await this.#exited
    clearTimeout(timer)
    return code
  }

  /**
   * Polls `look` until it gives a value; throws with the logs when the child dies or time is up.
   */
  async until<T>(what: string, timeoutMs: number, look: () => Promise<T | undefined>): Promise<T> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const value = await look()
      if (value !== undefined) return value
      const late = performance.now() > deadline
      if (late || this.#hasExited) {
        const why = this.#hasExited ? 'ended' : `took longer than ${timeoutMs} ms`
        if (late) await this.kill()
        throw new Error(`${this.title} ${why} before ${what}:\n${this.logs.slice(-4_000)}`)
      }
      await pause(20)
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
