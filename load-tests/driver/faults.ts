// What goes wrong in a phase of a load run: done at its beginning, undone at its end.

import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { changingPack, type RunningIssuer } from '../processes/index.ts'
import type { Fault } from './scenario.ts'

export interface FaultGround {
  readonly redis: { readonly pause?: () => void; readonly resume?: () => void } | undefined
  readonly issuers: readonly RunningIssuer[]
  readonly reload: {
    readonly adminUrl: string
    readonly adminToken: string
    /** Absent: the shipped rules, which nobody changes. */
    readonly rulesDir: string | undefined
  }
}

export class Faults {
  readonly #ground: FaultGround
  #undo: () => Promise<unknown> = () => Promise.resolve()
  #underWay: Promise<unknown> = Promise.resolve()
  /** Reloads of rules, or of the model, that were taken and refused so far. */
  readonly reloads = { taken: 0, refused: 0 }

  constructor(ground: FaultGround) {
    this.#ground = ground
  }

  /** Why a fault can't be had here; undefined where it can. */
  problem(fault: Fault): string | undefined {
    if (fault.kind === 'redis-stall' && this.#ground.redis?.pause === undefined) {
      return 'redis-stall needs a Redis that the run starts itself'
    }
    if (fault.kind === 'reload-rules' && this.#ground.reload.rulesDir === undefined) {
      return 'reload-rules needs a scenario with rules of its own'
    }
    return undefined
  }

  /** Ends the fault of the phase before, and begins this one's. */
  enter(fault: Fault | undefined): void {
    const undo = this.#undo
    this.#undo = () => Promise.resolve()
    this.#underWay = this.#underWay.then(undo).then(() => this.#begin(fault))
  }

  /** Ends what is wrong; rejects where something could not be done or undone. */
  async end(): Promise<void> {
    this.enter(undefined)
    await this.#underWay
  }

  async #begin(fault: Fault | undefined): Promise<void> {
    const { redis, issuers } = this.#ground
    if (fault === undefined) return
    switch (fault.kind) {
      case 'redis-stall':
        redis?.pause?.()
        this.#undo = async () => redis?.resume?.()
        return
      case 'issuer-slow':
        this.#undo = () => this.#behave(issuers, { delayMs: 0 })
        return this.#behave(issuers, { delayMs: fault.delayMs as number })
      case 'issuer-dead':
        this.#undo = () => this.#behave(issuers, { isClosed: false })
        return this.#behave(issuers, { isClosed: true })
      case 'reload-rules':
        return this.#every((fault.everySeconds as number) * 1000, () => this.#reloadRules())
      case 'swap-model':
        return this.#every((fault.everySeconds as number) * 1000, () => this.#swapModel())
    }
  }

  async #behave(
    issuers: readonly RunningIssuer[],
    change: Parameters<RunningIssuer['setBehaviour']>[0],
  ): Promise<void> {
    await Promise.all(issuers.map((issuer) => issuer.setBehaviour(change)))
  }

  #every(everyMs: number, change: () => Promise<void>): void {
    let last: Promise<void> = Promise.resolve()
    const timer = setInterval(() => {
      last = last.then(change)
    }, everyMs)
    this.#undo = () => {
      clearInterval(timer)
      return last
    }
  }

  /** Another rule each time, so that the set is compiled, prepared and switched over. */
  async #reloadRules(): Promise<void> {
    const { rulesDir } = this.#ground.reload
    const number = this.reloads.taken + this.reloads.refused
    const packs = path.join(rulesDir as string, 'packs')
    await writeFile(path.join(packs, 'reloaded.yaml'), changingPack(number))
    await this.#order('/v1/rules/reload', {})
  }

  /** Its bytes are read, loaded, checked and switched over to each time, as another model's are. */
  async #swapModel(): Promise<void> {
    await this.#order('/v1/model/use', { model: SHIPPED_MODEL })
  }

  async #order(pathName: string, body: object): Promise<void> {
    const { adminUrl, adminToken } = this.#ground.reload
    const response = await fetch(`${adminUrl}${pathName}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    await response.arrayBuffer()
    if (response.ok) this.reloads.taken++
    else this.reloads.refused++
  }
}

const SHIPPED_MODEL = 'switchyard-trees'
