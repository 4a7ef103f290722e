// Bases that this process has decoded: the script sends one only when it has changed.

import { baseBytes, type TileBase } from './tile.ts'

export interface TileCache {
  get(key: string): TileBase | undefined
  set(key: string, base: TileBase): void
  readonly bytes: number
}

/** Holds at most `bytesMax`; the least recently used go first. */
export function createTileCache(bytesMax: number): TileCache {
  const bases = new Map<string, TileBase>()
  let bytes = 0
  return {
    get bytes() {
      return bytes
    },
    get(key) {
      const base = bases.get(key)
      if (base === undefined) return undefined
      bases.delete(key)
      bases.set(key, base)
      return base
    },
    set(key, base) {
      const known = bases.get(key)
      if (known !== undefined) {
        bases.delete(key)
        bytes -= baseBytes(known)
      }
      bases.set(key, base)
      bytes += baseBytes(base)
      for (const [oldKey, old] of bases) {
        if (bytes <= bytesMax) return
        bases.delete(oldKey)
        bytes -= baseBytes(old)
      }
    },
  }
}
