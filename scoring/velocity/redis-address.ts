// Where Redis is, from one URL:
//
//   redis://[user:password@]host:port[/database]                     one server
//   redis+sentinel://[user:password@]host:port,host:port/name[/db]   the master of that name
//   redis+cluster://[user:password@]host:port,host:port              a cluster, by some nodes
//
// rediss instead of redis: TLS, to every server and Sentinel.

export interface HostPort {
  readonly host: string
  readonly port: number
}

interface Credentials {
  readonly username?: string
  readonly password?: string
  readonly isTls: boolean
}

export type RedisAddress =
  | { readonly kind: 'server'; readonly url: string }
  | (Credentials & {
      readonly kind: 'sentinel'
      readonly sentinels: readonly HostPort[]
      /** What the Sentinels call the master. */
      readonly name: string
      readonly database: number
    })
  | (Credentials & { readonly kind: 'cluster'; readonly nodes: readonly HostPort[] })

const PORTS = { sentinel: 26_379, cluster: 6_379 } as const
const SEVERAL = /^redis(s?)\+(sentinel|cluster):\/\/(?:([^@/]*)@)?([^@/]+)(?:\/(.*))?$/

/** Undefined for a URL that is none of the three. */
export function parseRedisUrl(url: string): RedisAddress | undefined {
  if (/^rediss?:\/\/./.test(url)) return URL.canParse(url) ? { kind: 'server', url } : undefined
  const parts = SEVERAL.exec(url)
  if (parts === null) return undefined
  const [, tls = '', kind = '', user = '', hosts = '', path = ''] = parts
  const nodes = hosts.split(',').map((text) => hostPort(text, PORTS[kind as keyof typeof PORTS]))
  if (nodes.includes(undefined)) return undefined
  const credentials = { ...credentialsOf(user), isTls: tls === 's' }
  if (kind === 'cluster') {
    return path === '' ? { kind, nodes: nodes as HostPort[], ...credentials } : undefined
  }
  const [name = '', database = '0', ...rest] = path.split('/')
  if (!/^[\w.-]{1,100}$/.test(name) || !/^\d{1,3}$/.test(database) || rest.length > 0) {
    return undefined
  }
  return {
    kind: 'sentinel',
    sentinels: nodes as HostPort[],
    name,
    database: Number(database),
    ...credentials,
  }
}

function hostPort(text: string, defaultPort: number): HostPort | undefined {
  const url = `redis://${text}`
  if (!URL.canParse(url)) return undefined
  const { hostname, port, pathname, search } = new URL(url)
  if (hostname === '' || pathname !== '' || search !== '') return undefined
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || defaultPort) }
}

/** Percent-encoded in the URL, as its characters may be any. */
function credentialsOf(text: string): { username?: string; password?: string } {
  if (text === '') return {}
  const colon = text.indexOf(':')
  const username = decode(colon < 0 ? text : text.slice(0, colon))
  const password = colon < 0 ? '' : decode(text.slice(colon + 1))
  return {
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
