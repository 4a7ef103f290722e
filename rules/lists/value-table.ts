// Texts with a number each, a million and more of them: an open-addressing hash table in typed
// arrays. A Map of a million card tokens takes 0.6 to 1.4 µs a look-up, since every step misses
// the cache, and the garbage collector walks all of it; here a miss reads one cache line, a hit two
// or three, and there is nothing to walk.
//
//     slots   | hash | from | to | entry |   four 32-bit words a slot, empty where `to` is 0
//     bytes   ...M-1001tok_AAAA...            the texts, Latin-1, one after the other
//     numbers ...                             by entry

/** Words of one slot: hash, from, to, entry. */
const slotWords = 4
/** Slots are at most half full, so that a search ends after two or three of them. */
const fillMax = 0.5

export interface ValueTable {
  readonly size: number
  /** Keeps a text with its number; false when it is there already. Empty texts are never there. */
  add(text: string, number: number): boolean
  /** The number of a text; undefined when it isn't there. */
  get(text: string): number | undefined
}

export function createValueTable(): ValueTable {
  return new HashTable()
}

class HashTable implements ValueTable {
  #size = 0
  #slots = new Uint32Array(16 * slotWords)
  #mask = 15
  #bytes = new Uint8Array(256)
  #used = 0
  #numbers = new Float64Array(8)
  /** The few texts with characters beyond Latin-1. */
  readonly #wide = new Map<string, number>()

  get size(): number {
    return this.#size + this.#wide.size
  }

  add(text: string, number: number): boolean {
    if (text === '' || this.get(text) !== undefined) return false
    const hash = hashOf(text)
    if (hash === undefined) {
      this.#wide.set(text, number)
      return true
    }
    if (this.#size + 1 > (this.#mask + 1) * fillMax) this.#growSlots()
    if (this.#used + text.length > this.#bytes.length) {
      this.#bytes = grown(this.#bytes, new Uint8Array(2 * this.#bytes.length + text.length))
    }
    if (this.#size === this.#numbers.length) {
      this.#numbers = grown(this.#numbers, new Float64Array(2 * this.#size))
    }
    const from = this.#used
    for (let index = 0; index < text.length; index++) {
      this.#bytes[this.#used++] = text.charCodeAt(index)
    }
    this.#put(this.#slots, hash, from, this.#used, this.#size)
    this.#numbers[this.#size++] = number
    return true
  }

  get(text: string): number | undefined {
    const hash = hashOf(text)
    if (hash === undefined) return this.#wide.get(text)
    const slots = this.#slots
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = slot * slotWords
      const to = slots[at + 2] as number
      if (to === 0) return undefined
      if (slots[at] === hash && this.#holds(slots[at + 1] as number, to, text)) {
        return this.#numbers[slots[at + 3] as number]
      }
    }
  }

  #holds(from: number, to: number, text: string): boolean {
    if (to - from !== text.length) return false
    for (let index = 0; index < text.length; index++) {
      if (this.#bytes[from + index] !== text.charCodeAt(index)) return false
    }
    return true
  }

  #put(slots: Uint32Array, hash: number, from: number, to: number, entry: number): void {
    let slot = hash & this.#mask
    while (slots[slot * slotWords + 2] !== 0) slot = (slot + 1) & this.#mask
    const at = slot * slotWords
    slots[at] = hash
    slots[at + 1] = from
    slots[at + 2] = to
    slots[at + 3] = entry
  }

  #growSlots(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(old.length * 2)
    this.#mask = this.#mask * 2 + 1
    for (let at = 0; at < old.length; at += slotWords) {
      const to = old[at + 2] as number
      if (to === 0) continue
      this.#put(this.#slots, old[at] as number, old[at + 1] as number, to, old[at + 3] as number)
    }
  }
}

function grown<Kind extends Uint8Array | Float64Array>(old: Kind, larger: Kind): Kind {
  larger.set(old)
  return larger
}

/**
 * FNV-1a with the finalizer of MurmurHash3, 32 bits, unsigned; undefined for a text that has
 * characters beyond Latin-1.
 */
function hashOf(text: string): number | undefined {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code > 255) return undefined
    hash = Math.imul(hash ^ code, 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
