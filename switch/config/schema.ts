// The configuration's one schema: what `default.yaml` and SWITCHYARD_CONFIG may say.

import Type, { type Static } from 'typebox'
import { FramingWords, MAC_ALGORITHMS } from '../iso8583/index.ts'

const closed = { additionalProperties: false } as const
const port = Type.Integer({ minimum: 0, maximum: 65_535 })
const milliseconds = (minimum: number, maximum: number) => Type.Integer({ minimum, maximum })
const file = Type.String({ minLength: 1, maxLength: 4096 })
const days = Type.Integer({ minimum: 1, maximum: 365 })
const name = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,31}$' })

const AcquirerSchema = Type.Object(
  {
    id: name,
    /** DE32 toward issuers. */
    institution: Type.String({ pattern: '^[0-9]{1,11}$' }),
    /** SHA-256 of each API key in hex: the key itself never stands in a file. */
    apiKeySha256: Type.Array(Type.String({ pattern: '^[0-9a-f]{64}$' })),
    /** HTTP Message Signatures, hmac-sha256: the secret is 32 bytes or more, in base64. */
    signatureKeys: Type.Optional(
      Type.Array(
        Type.Object(
          {
            keyId: Type.String({ pattern: '^[!-~]{1,64}$' }),
            secret: Type.String({ pattern: '^[A-Za-z0-9+/]{42,}={0,2}$', maxLength: 256 }),
          },
          closed,
        ),
      ),
    ),
    /** Whether answers carry `risk`. */
    discloseRisk: Type.Boolean(),
    acceptsPartialApproval: Type.Boolean(),
    /** DE39 of a challenge: 1A Visa style, 65 Mastercard and generic. Contactless gets 70. */
    stepUpCode: Type.Enum(['1A', '65']),
  },
  closed,
)

const amountMax = Type.Integer({ minimum: 1, maximum: 999_999_999_999 })
/** How often, and how much in all, in one window. */
const standInLimit = Type.Object(
  { countMax: Type.Integer({ minimum: 1, maximum: 1_000_000 }), sumMax: amountMax },
  closed,
)

/** What the switch may approve in the place of an issuer that can't be asked. Absent: nothing. */
const StandInSchema = Type.Object(
  {
    /** Amounts and sums are minor units of it; other currencies are not stood in for. */
    currency: Type.String({ pattern: '^[A-Z]{3}$' }),
    amountMax,
    card: standInLimit,
    bin: standInLimit,
    mccs: Type.Array(Type.String({ pattern: '^[0-9]{4}$' }), { minItems: 1 }),
    /** The model's score at most; without a score nothing is stood in for. */
    scoreMax: Type.Number({ minimum: 0, maximum: 1 }),
    /** Windows begin at multiples of it since 1970, UTC. Absent: 1440, a calendar day. */
    windowMinutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 44_640 })),
  },
  closed,
)

/** DE64 or DE128, under a key that both sides have: set and checked. Absent: neither. */
const MacSchema = Type.Object(
  {
    algorithm: Type.Enum([...MAC_ALGORITHMS]),
    /** Hex. */
    key: Type.String({ pattern: '^([0-9A-Fa-f]{2}){16,64}$' }),
    /** False: network management goes without. Absent: it has one too. */
    coversNetwork: Type.Optional(Type.Boolean()),
  },
  closed,
)

const IssuerSchema = Type.Object(
  {
    name,
    host: Type.String({ minLength: 1, maxLength: 255 }),
    port,
    /** Over ISO 8583 on TCP: a preset, or a file. */
    dialect: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    /** By HTTP instead: JSON, signed with hmac-sha256 (RFC 9421); https where there is `tls`. */
    http: Type.Optional(
      Type.Object(
        {
          /** Before /authorizations, /reversals, /advices and /echo. Absent: nothing. */
          path: Type.Optional(Type.String({ pattern: '^(/[A-Za-z0-9._~-]+)+$', maxLength: 255 })),
          keyId: Type.String({ pattern: '^[!-~]{1,64}$' }),
          /** 32 bytes or more, in base64. */
          secret: Type.String({ pattern: '^[A-Za-z0-9+/]{42,}={0,2}$', maxLength: 256 }),
          /** How long after its time-out a request keeps its connection for a late answer. */
          lateAnswerMs: Type.Optional(milliseconds(0, 60_000)),
        },
        closed,
      ),
    ),
    timeoutMs: milliseconds(100, 60_000),
    /** Absent: two bytes, big-endian. */
    framing: Type.Optional(FramingWords),
    mac: Type.Optional(MacSchema),
    /** PEM files. Absent: plain TCP. `caFile` absent: the authorities that Node.js ships. */
    tls: Type.Optional(
      Type.Object(
        {
          caFile: Type.Optional(file),
          /** Our own certificate and its key: both or none. */
          certFile: Type.Optional(file),
          keyFile: Type.Optional(file),
          /** The name in the issuer's certificate, where it is not `host`. */
          serverName: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
        },
        closed,
      ),
    ),
    /** Over ISO 8583: each signed on by itself, 1 where absent. By HTTP: the pool, 64. */
    connections: Type.Optional(Type.Integer({ minimum: 1, maximum: 512 })),
    standIn: Type.Optional(StandInSchema),
    /** When the switch stops asking on a connection. Absent: as in issuers/limits.ts. */
    breaker: Type.Optional(
      Type.Object(
        {
          timeoutsInARow: Type.Integer({ minimum: 1, maximum: 10_000 }),
          openMinMs: milliseconds(100, 600_000),
          openMaxMs: milliseconds(100, 600_000),
        },
        closed,
      ),
    ),
  },
  closed,
)

/** How an acquirer is told to step up over ISO 8583; absent: as its acquirer has it. */
const stepUpCode = Type.Optional(Type.Enum(['1A', '65']))
const dialect = Type.String({ minLength: 1, maxLength: 255 })

/** Acquirers over ISO 8583 on TCP. */
const IsoListenerSchema = Type.Object(
  {
    name,
    host: Type.String({ minLength: 1 }),
    port,
    dialect,
    /** Absent: two bytes, big-endian. */
    framing: Type.Optional(FramingWords),
    stepUpCode,
    /** PEM files. A client must show a certificate that the CA has signed. */
    tls: Type.Optional(Type.Object({ certFile: file, keyFile: file, caFile: file }, closed)),
    peers: Type.Array(
      Type.Object(
        {
          name,
          acquirer: name,
          /** DE32 that it may send. Absent: its acquirer's institution only. */
          institutions: Type.Optional(
            Type.Array(Type.String({ pattern: '^[0-9]{1,11}$' }), { minItems: 1 }),
          ),
          /** Who it is: by one of these addresses, these certificates, or both. */
          addresses: Type.Optional(
            Type.Array(Type.String({ pattern: '^[0-9A-Fa-f:.]{2,45}$' }), { minItems: 1 }),
          ),
          certificateSha256: Type.Optional(
            Type.Array(Type.String({ pattern: '^[0-9a-f]{64}$' }), { minItems: 1 }),
          ),
          dialect: Type.Optional(dialect),
          framing: Type.Optional(FramingWords),
          mac: Type.Optional(MacSchema),
          stepUpCode,
        },
        closed,
      ),
      { minItems: 1 },
    ),
  },
  closed,
)

export const ConfigSchema = Type.Object(
  {
    http: Type.Object({ host: Type.String({ minLength: 1 }), port }, closed),
    admin: Type.Object({ host: Type.String({ minLength: 1 }), port }, closed),
    /** True says that TLS ends in front of the switch, so that it may listen beyond loopback. */
    behindTlsTerminator: Type.Boolean(),
    dataDir: Type.String({ minLength: 1 }),
    rulesDir: Type.String({ minLength: 1 }),
    /** Whether a change of the rules' files is taken by itself. Absent: it is. */
    watchRules: Type.Optional(Type.Boolean()),
    modelDir: Type.String({ minLength: 1 }),
    keysFile: Type.String({ minLength: 1 }),
    databaseUrl: Type.Optional(Type.String({ pattern: '^postgres(ql)?://' })),
    /** Where the store is PostgreSQL. */
    database: Type.Optional(
      Type.Object(
        {
          /** How long a process that says nothing keeps its work; then another takes it over. */
          leaseMs: milliseconds(1_000, 600_000),
        },
        closed,
      ),
    ),
    /** What the embedded store keeps, and when its disk is too full. Absent: as in its limits. */
    store: Type.Optional(
      Type.Object(
        {
          retentionDays: Type.Optional(Type.Integer({ minimum: 2, maximum: 3650 })),
          panRetentionDays: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650 })),
          bytesMax: Type.Optional(Type.Integer({ minimum: 100_000_000 })),
          freeBytesMin: Type.Optional(Type.Integer({ minimum: 0 })),
        },
        closed,
      ),
    ),
    redisUrl: Type.Optional(Type.String({ pattern: '^rediss?(\\+sentinel|\\+cluster)?://' })),
    log: Type.Object(
      {
        level: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
        /** Of how many authorizations one canonical line is written; 0 for none. */
        oneLineIn: Type.Integer({ minimum: 0 }),
      },
      closed,
    ),
    /** How long what was approved may be captured. Absent: 7 and 30 days. */
    validity: Type.Optional(
      Type.Object({ authorizationDays: days, preauthorizationDays: days }, closed),
    ),
    /** A reversal is kept for an original that is this near in time, either way. Absent: 10. */
    tombstoneMinutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 1440 })),
    deadlines: Type.Object(
      {
        scoreMs: milliseconds(1, 1000),
        /** The part of scoreMs that velocity may take. */
        velocityMs: milliseconds(1, 1000),
        durabilityMs: milliseconds(10, 10_000),
        acquirerMs: milliseconds(100, 120_000),
        drainMs: milliseconds(100, 120_000),
      },
      closed,
    ),
    scoring: Type.Object(
      {
        workers: Type.Integer({ minimum: 1, maximum: 64 }),
        model: Type.String({ minLength: 1 }),
        /** Models in shadow, by the names of their folders. */
        challengers: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { maxItems: 4 })),
        /** `model status` and an alert say when the model is older. */
        modelMaxAgeDays: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650 })),
      },
      closed,
    ),
    challenge: Type.Object(
      {
        /** What `challenge` counts as where there is no step-up. */
        elsewhere: Type.Enum(['review', 'decline']),
      },
      closed,
    ),
    acquirers: Type.Array(AcquirerSchema, { minItems: 1 }),
    iso: Type.Optional(Type.Object({ listeners: Type.Array(IsoListenerSchema) }, closed)),
    issuers: Type.Array(IssuerSchema, { minItems: 1 }),
    routes: Type.Array(
      Type.Object(
        {
          bins: Type.Array(Type.String({ pattern: '^[0-9]{2,8}$' }), { minItems: 1 }),
          issuer: name,
          /** Tried in this order where the one before certainly got nothing, or was reversed. */
          failOver: Type.Optional(Type.Array(name, { maxItems: 3 })),
        },
        closed,
      ),
      { minItems: 1 },
    ),
  },
  closed,
)

export type Config = Static<typeof ConfigSchema>
export type AcquirerConfig = Static<typeof AcquirerSchema>
export type IsoListenerConfig = Static<typeof IsoListenerSchema>
export type IssuerConfig = Static<typeof IssuerSchema>
