// Internet addresses as numbers that can be ordered. Source: RFC 4632 (CIDR), RFC 4291 §2.2 (IPv6).

/** IPv4 as an unsigned 32-bit integer; NaN when the text is no dotted address. */
export function parseIpv4(text: string): number {
  let value = 0
  let octet = -1
  let octets = 0
  for (let index = 0; index <= text.length; index++) {
    const code = index === text.length ? 46 : text.charCodeAt(index)
    if (code === 46) {
      if (octet < 0 || octets === 4) return Number.NaN
      value = value * 256 + octet
      octets++
      octet = -1
    } else {
      const digit = code - 48
      if (digit < 0 || digit > 9 || octet === 0) return Number.NaN
      octet = octet < 0 ? digit : octet * 10 + digit
      if (octet > 255) return Number.NaN
    }
  }
  return octets === 4 ? value : Number.NaN
}

/** IPv6 as 32 lower-case hexadecimal digits, whose order is the addresses' order; or undefined. */
export function parseIpv6(text: string): string | undefined {
  if (text.length < 2 || text.length > 45 || !/^[0-9a-fA-F:.]+$/.test(text)) return undefined
  let groups = text
  const lastColon = text.lastIndexOf(':')
  if (text.includes('.')) {
    const embedded = parseIpv4(text.slice(lastColon + 1))
    if (Number.isNaN(embedded)) return undefined
    const high = Math.floor(embedded / 65_536).toString(16)
    groups = `${text.slice(0, lastColon + 1)}${high}:${(embedded % 65_536).toString(16)}`
  }
  const halves = groups.split('::')
  if (halves.length > 2) return undefined
  const head = halves[0] === '' ? [] : (halves[0]?.split(':') ?? [])
  const tail = halves[1] === undefined || halves[1] === '' ? [] : halves[1].split(':')
  const gap = 8 - head.length - tail.length
  if (halves.length === 2 ? gap < 1 : gap !== 0) return undefined
  const all = [...head, ...Array.from({ length: gap }, () => '0'), ...tail]
  if (!all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined
  return all.map((group) => group.toLowerCase().padStart(4, '0')).join('')
}

export type AddressRange =
  | { readonly version: 4; readonly from: number; readonly to: number }
  | { readonly version: 6; readonly from: string; readonly to: string }

/** The first and last address of `203.0.113.0/24` or `2001:db8::/32`; a bare address is itself. */
export function parseCidr(text: string): AddressRange | undefined {
  const [address = '', bitsText, extra] = text.split('/')
  if (extra !== undefined || (bitsText !== undefined && !/^\d{1,3}$/.test(bitsText)))
    return undefined
  const v4 = parseIpv4(address)
  if (!Number.isNaN(v4)) {
    const bits = bitsText === undefined ? 32 : Number(bitsText)
    const size = 2 ** (32 - bits)
    if (bits > 32 || v4 % size !== 0) return undefined
    return { version: 4, from: v4, to: v4 + size - 1 }
  }
  const v6 = parseIpv6(address)
  const bits = bitsText === undefined ? 128 : Number(bitsText)
  if (v6 === undefined || bits > 128) return undefined
  const start = BigInt(`0x${v6}`)
  const size = 1n << BigInt(128 - bits)
  if (start % size !== 0n) return undefined
  return { version: 6, from: v6, to: (start + size - 1n).toString(16).padStart(32, '0') }
}
