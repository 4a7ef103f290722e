// The database's tables, in the steps in which they came to be. A step that was released is never
// changed: what is to be different comes with the next one.

export interface Migration {
  readonly version: number
  readonly name: string
  readonly sql: string
}

/** Tables that are partitioned by the day of their transaction, days since 1970 (UTC). */
const TABLES = `
CREATE SCHEMA switchyard;

CREATE TABLE switchyard.migration (
  version int PRIMARY KEY,
  name text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE switchyard.setting (name text PRIMARY KEY, value text NOT NULL);

-- One row a process that is, or was: its lease, and the last batch that it committed.
CREATE TABLE switchyard.owner (
  owner text COLLATE "C" PRIMARY KEY,
  lease_epoch bigint NOT NULL,
  slot smallint NOT NULL,
  lease_until timestamptz NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  last_batch bigint NOT NULL DEFAULT 0,
  exceptions int[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX owner_slot ON switchyard.owner (slot) WHERE ended_at IS NULL;
CREATE SEQUENCE switchyard.lease_epoch;
-- Order of rows: the batch's number here times 100000, and the row's place in its batch.
CREATE SEQUENCE switchyard.batch_order;

-- Who sends what is queued for an issuer.
CREATE TABLE switchyard.lane (
  issuer text COLLATE "C" PRIMARY KEY,
  owner text COLLATE "C" NOT NULL
);
-- The last STAN drawn toward an issuer, by the slot of numbers.
CREATE TABLE switchyard.trace_mark (
  issuer text COLLATE "C",
  slot smallint,
  stan int NOT NULL,
  PRIMARY KEY (issuer, slot)
) WITH (fillfactor = 50);

-- Not partitioned: a unique index on a partitioned table would have to contain the day.
CREATE TABLE switchyard.claim (
  acquirer text COLLATE "C",
  idempotency_key text COLLATE "C",
  transaction_id text COLLATE "C" NOT NULL,
  fingerprint bytea NOT NULL,
  created_at_ms bigint NOT NULL,
  PRIMARY KEY (acquirer, idempotency_key)
);
CREATE INDEX claim_age ON switchyard.claim USING brin (created_at_ms);
-- One row a transaction without outcome. Whoever deletes it has recorded the outcome.
CREATE TABLE switchyard.open_claim (
  transaction_id text COLLATE "C" PRIMARY KEY,
  day int NOT NULL,
  position bigint NOT NULL,
  owner text COLLATE "C" NOT NULL
);
CREATE INDEX open_claim_owner ON switchyard.open_claim (owner);

CREATE TABLE switchyard.transaction (
  transaction_id text COLLATE "C",
  day int,
  position bigint NOT NULL,
  acquirer text COLLATE "C" NOT NULL,
  rrn text COLLATE "C" NOT NULL,
  card_token text COLLATE "C" NOT NULL,
  has_card boolean NOT NULL,
  is_step boolean NOT NULL,
  intent bytea NOT NULL,
  PRIMARY KEY (transaction_id, day)
) PARTITION BY RANGE (day);
CREATE INDEX transaction_rrn ON switchyard.transaction (acquirer, rrn, day, position)
  WHERE NOT is_step;
CREATE INDEX transaction_card ON switchyard.transaction (acquirer, card_token, day, position)
  WHERE has_card;

-- What happened to a transaction after its claim, oldest first.
CREATE TABLE switchyard.record (
  transaction_id text COLLATE "C",
  day int,
  position bigint,
  rule smallint NOT NULL,
  payload bytea NOT NULL,
  PRIMARY KEY (transaction_id, position, day)
) PARTITION BY RANGE (day);

-- What a transaction turned out to be.
CREATE TABLE switchyard.label (
  transaction_id text COLLATE "C",
  day int,
  kind text COLLATE "C",
  known_at_ms bigint,
  recorded_at_ms bigint NOT NULL,
  position bigint NOT NULL,
  PRIMARY KEY (transaction_id, kind, known_at_ms, day)
) PARTITION BY RANGE (day);

-- How much was stood in for, by card and by BIN, in one window.
CREATE TABLE switchyard.stand_in (
  counter text COLLATE "C",
  window_end_ms bigint,
  moves bigint NOT NULL,
  total bigint NOT NULL,
  PRIMARY KEY (counter, window_end_ms)
);

-- The steps of a payment: a version is made once.
CREATE TABLE switchyard.step (
  payment_id text COLLATE "C",
  day int,
  version int,
  step_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (payment_id, version, day)
) PARTITION BY RANGE (day);

-- Store-and-forward. state: 0 queued, 1 acknowledged, 2 dead.
CREATE TABLE switchyard.delivery (
  transaction_id text COLLATE "C",
  step text COLLATE "C",
  day int,
  position bigint NOT NULL,
  issuer text COLLATE "C" NOT NULL,
  original text COLLATE "C" NOT NULL,
  state smallint NOT NULL,
  sends int NOT NULL,
  last_response_code text,
  queued_by xid8 NOT NULL,
  message bytea NOT NULL,
  PRIMARY KEY (transaction_id, step, day)
) PARTITION BY RANGE (day);
CREATE INDEX delivery_queued ON switchyard.delivery (issuer, queued_by) WHERE state = 0;
CREATE INDEX delivery_dead ON switchyard.delivery (issuer) WHERE state = 2;
`

/**
 * Attached, not made in place: that needs no lock that a running batch would have to wait for.
 * SECURITY DEFINER: the switch's own role needs no right to make tables.
 */
const PARTITIONS = `
CREATE FUNCTION switchyard.create_partitions(p_from int, p_to int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  parent text;
  part text;
  made int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(7823641);
  FOREACH parent IN ARRAY ARRAY['transaction', 'record', 'step', 'delivery', 'label'] LOOP
    IF to_regclass('switchyard.' || parent || '_early') IS NULL THEN
      EXECUTE format('CREATE TABLE switchyard.%I PARTITION OF switchyard.%I
        FOR VALUES FROM (MINVALUE) TO (%s)', parent || '_early', parent, p_from);
    END IF;
    FOR d IN p_from .. p_to LOOP
      part := parent || '_' || to_char(date '1970-01-01' + d, 'YYYYMMDD');
      CONTINUE WHEN to_regclass('switchyard.' || part) IS NOT NULL;
      EXECUTE format('CREATE TABLE switchyard.%I
        (LIKE switchyard.%I INCLUDING DEFAULTS INCLUDING STORAGE)', part, parent);
      EXECUTE format('ALTER TABLE switchyard.%I ATTACH PARTITION switchyard.%I
        FOR VALUES FROM (%s) TO (%s)', parent, part, d, d + 1);
      made := made + 1;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;
`

/**
 * One process's group of writes: one call, one transaction, one flush. Conditional on the lease and
 * on the batch before it. Returns what did not go as usual, as index * 10 + code:
 *
 *   1 existing      another claim holds the key
 *   2 stale         another step of the payment came first, or is open
 *   3 decided       the transaction has its outcome
 *   4 unknown       there is no such transaction, or delivery
 *   5 queued        there is such a message already
 *   6 acknowledged  the delivery is, and can't be anything else any more
 *   7 over limit    a stand-in counter would pass its limit
 *   8 known         the label is there already
 *   9 too many      the transaction has as many labels as it may have
 *
 * Rows are taken in the order owner, claim, step, open claim, counter, delivery, trace mark, each
 * sorted, so that two processes do not wait for each other.
 */
const COMMIT_BATCH = `
CREATE FUNCTION switchyard.commit_batch(
  p_owner text, p_epoch bigint, p_batch bigint, p_slot smallint,
  p_now_ms bigint, p_retention_ms bigint, p_labels_max int, p_blob bytea,
  c_i int[], c_id text[], c_day int[], c_acquirer text[], c_key text[], c_created bigint[],
  c_rrn text[], c_token text[], c_card boolean[], c_open boolean[],
  c_payment text[], c_payment_day int[], c_version int[], c_at int[], c_length int[],
  r_i int[], r_op int[], r_id text[], r_day int[], r_rule int[], r_at int[], r_length int[],
  m_i int[], m_op int[], m_id text[], m_day int[], m_step text[], m_issuer text[],
  m_original text[], m_at int[], m_length int[],
  d_i int[], d_id text[], d_day int[], d_step text[], d_state int[], d_sends int[], d_code text[],
  s_op int[], s_counter text[], s_window bigint[], s_amount bigint[],
  s_moves_max bigint[], s_total_max bigint[],
  l_i int[], l_id text[], l_day int[], l_kind text[], l_known bigint[], l_recorded bigint[],
  t_issuer text[], t_stan int[]
) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
  x int[] := '{}';
  v int[];
  open_ids text[];
  s record;
  base bigint := nextval('switchyard.batch_order') * 100000;
BEGIN
  PERFORM 1 FROM switchyard.owner o
    WHERE o.owner = p_owner AND o.lease_epoch = p_epoch AND o.ended_at IS NULL
      AND o.last_batch = p_batch - 1
    FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the lease of % is over, or batch % is done', p_owner, p_batch
      USING ERRCODE = 'SW001';
  END IF;

  IF cardinality(c_i) > 0 THEN
    WITH taken AS (
      INSERT INTO switchyard.claim AS k
        (acquirer, idempotency_key, transaction_id, fingerprint, created_at_ms)
      SELECT c.acquirer, c.key, c.id, substring(p_blob FROM c.at + 1 FOR 32), c.created
      FROM unnest(c_acquirer, c_key, c_id, c_at, c_created) AS c(acquirer, key, id, at, created)
      ORDER BY c.acquirer COLLATE "C", c.key COLLATE "C"
      ON CONFLICT (acquirer, idempotency_key) DO UPDATE
        SET transaction_id = excluded.transaction_id, fingerprint = excluded.fingerprint,
            created_at_ms = excluded.created_at_ms
        WHERE p_now_ms - k.created_at_ms > p_retention_ms
          AND NOT EXISTS (
            SELECT 1 FROM switchyard.open_claim o WHERE o.transaction_id = k.transaction_id)
      RETURNING k.transaction_id AS id
    )
    SELECT array_agg(c.i * 10 + 1) INTO v FROM unnest(c_i, c_id) AS c(i, id)
      WHERE c.id NOT IN (SELECT taken.id FROM taken);
    x := x || v;

    FOR s IN
      SELECT * FROM unnest(c_i, c_id, c_acquirer, c_key, c_payment, c_payment_day, c_version)
        AS c(i, id, acquirer, key, payment, day, version)
      WHERE c.payment IS NOT NULL AND c.i * 10 + 1 <> ALL (x)
      ORDER BY c.payment COLLATE "C"
    LOOP
      INSERT INTO switchyard.step (payment_id, day, version, step_id)
      SELECT s.payment, s.day, s.version, s.id
      WHERE EXISTS (SELECT 1 FROM switchyard.transaction t
              WHERE t.transaction_id = s.payment AND t.day = s.day)
        AND NOT EXISTS (SELECT 1 FROM switchyard.open_claim o WHERE o.transaction_id = s.payment)
        AND s.version - 1 = (SELECT count(*) FROM switchyard.step p
              WHERE p.payment_id = s.payment AND p.day = s.day)
        AND NOT EXISTS (SELECT 1 FROM switchyard.step p
              JOIN switchyard.open_claim o ON o.transaction_id = p.step_id
              WHERE p.payment_id = s.payment AND p.day = s.day)
      ON CONFLICT DO NOTHING;
      IF NOT FOUND THEN
        DELETE FROM switchyard.claim k
          WHERE k.acquirer = s.acquirer AND k.idempotency_key = s.key;
        x := x || (s.i * 10 + 2);
      END IF;
    END LOOP;

    INSERT INTO switchyard.transaction
      (transaction_id, day, position, acquirer, rrn, card_token, has_card, is_step, intent)
    SELECT c.id, c.day, base + c.i, c.acquirer, c.rrn, c.token, c.card, c.payment IS NOT NULL,
      substring(p_blob FROM c.at + 33 FOR c.length)
    FROM unnest(c_i, c_id, c_day, c_acquirer, c_rrn, c_token, c_card, c_payment, c_at, c_length)
      AS c(i, id, day, acquirer, rrn, token, card, payment, at, length)
    WHERE c.i * 10 + 1 <> ALL (x) AND c.i * 10 + 2 <> ALL (x);
    INSERT INTO switchyard.open_claim (transaction_id, day, position, owner)
    SELECT c.id, c.day, base + c.i, p_owner
    FROM unnest(c_i, c_id, c_day, c_open) AS c(i, id, day, open)
    WHERE c.open AND c.i * 10 + 1 <> ALL (x) AND c.i * 10 + 2 <> ALL (x);
  END IF;

  -- Rules of records: 1 an outcome, which closes the claim; 2 needs an open claim; 3 needs a
  -- transaction; 4 belongs to a claim of this batch.
  IF cardinality(r_i) > 0 THEN
    SELECT array_agg(o.transaction_id) INTO open_ids FROM (
      SELECT k.transaction_id FROM switchyard.open_claim k
      WHERE k.transaction_id IN
        (SELECT r.id FROM unnest(r_id, r_rule) AS r(id, rule) WHERE r.rule < 3)
      ORDER BY k.transaction_id FOR UPDATE) AS o;
    SELECT array_agg(r.op * 10 + CASE WHEN EXISTS (SELECT 1 FROM switchyard.transaction t
        WHERE t.transaction_id = r.id AND t.day = r.day) THEN 3 ELSE 4 END) INTO v
      FROM unnest(r_op, r_id, r_day, r_rule) AS r(op, id, day, rule)
      WHERE r.rule < 3 AND (open_ids IS NULL OR r.id <> ALL (open_ids));
    x := x || v;
    SELECT array_agg(r.op * 10 + 4) INTO v
      FROM unnest(r_op, r_id, r_day, r_rule) AS r(op, id, day, rule)
      WHERE r.rule = 3 AND NOT EXISTS (SELECT 1 FROM switchyard.transaction t
        WHERE t.transaction_id = r.id AND t.day = r.day);
    x := x || v;

    IF cardinality(s_op) > 0 THEN
      INSERT INTO switchyard.stand_in (counter, window_end_ms, moves, total)
      SELECT DISTINCT m.counter COLLATE "C", m.until, 0, 0
      FROM unnest(s_counter, s_window) AS m(counter, until) ORDER BY 1, 2
      ON CONFLICT DO NOTHING;
      PERFORM 1 FROM switchyard.stand_in c
        WHERE (c.counter, c.window_end_ms) IN
          (SELECT m.counter, m.until FROM unnest(s_counter, s_window) AS m(counter, until))
        ORDER BY c.counter, c.window_end_ms FOR UPDATE;
      FOR s IN SELECT DISTINCT m.op FROM unnest(s_op) AS m(op)
        WHERE m.op * 10 + 3 <> ALL (x) AND m.op * 10 + 4 <> ALL (x) ORDER BY 1
      LOOP
        IF EXISTS (SELECT 1
          FROM unnest(s_op, s_counter, s_window, s_amount, s_moves_max, s_total_max)
            AS m(op, counter, until, amount, moves_max, total_max)
          JOIN switchyard.stand_in c ON c.counter = m.counter AND c.window_end_ms = m.until
          WHERE m.op = s.op
            AND (c.moves + 1 > m.moves_max OR c.total + m.amount > m.total_max))
        THEN
          x := x || (s.op * 10 + 7);
        ELSE
          UPDATE switchyard.stand_in c SET moves = c.moves + 1, total = c.total + m.amount
          FROM unnest(s_op, s_counter, s_window, s_amount) AS m(op, counter, until, amount)
          WHERE m.op = s.op AND c.counter = m.counter AND c.window_end_ms = m.until;
        END IF;
      END LOOP;
    END IF;

    DELETE FROM switchyard.open_claim k WHERE k.transaction_id IN
      (SELECT r.id FROM unnest(r_op, r_id, r_rule) AS r(op, id, rule)
       WHERE r.rule = 1 AND r.op * 10 + 7 <> ALL (x));
    INSERT INTO switchyard.record (transaction_id, day, position, rule, payload)
    SELECT r.id, r.day, base + r.i, r.rule, substring(p_blob FROM r.at + 1 FOR r.length)
    FROM unnest(r_i, r_op, r_id, r_day, r_rule, r_at, r_length)
      AS r(i, op, id, day, rule, at, length)
    WHERE NOT EXISTS (SELECT 1 FROM unnest(x) AS e(code) WHERE e.code / 10 = r.op);
  END IF;

  IF cardinality(m_i) > 0 THEN
    SELECT array_agg(m.op * 10 + 4) INTO v
      FROM unnest(m_op, m_id, m_day) AS m(op, id, day)
      WHERE NOT EXISTS (SELECT 1 FROM unnest(x) AS e(code) WHERE e.code / 10 = m.op)
        AND NOT EXISTS (SELECT 1 FROM switchyard.transaction t
          WHERE t.transaction_id = m.id AND t.day = m.day);
    x := x || v;
    WITH input AS (
      SELECT * FROM unnest(m_i, m_op, m_id, m_day, m_step, m_issuer, m_original, m_at, m_length)
        AS m(i, op, id, day, step, issuer, original, at, length)
      WHERE NOT EXISTS (SELECT 1 FROM unnest(x) AS e(code) WHERE e.code / 10 = m.op)
    ), fresh AS (
      INSERT INTO switchyard.delivery (transaction_id, step, day, position, issuer, original,
        state, sends, last_response_code, queued_by, message)
      SELECT m.id, m.step, m.day, base + m.i, m.issuer, m.original,
        0, 0, NULL, pg_current_xact_id(), substring(p_blob FROM m.at + 1 FOR m.length)
      FROM input m ORDER BY m.id COLLATE "C", m.step COLLATE "C"
      ON CONFLICT DO NOTHING
      RETURNING position
    )
    SELECT array_agg(m.i * 10 + 5) INTO v FROM input m
      WHERE base + m.i NOT IN (SELECT fresh.position FROM fresh);
    x := x || v;
  END IF;

  IF cardinality(d_i) > 0 THEN
    WITH changed AS (
      UPDATE switchyard.delivery d
      SET state = u.state, sends = u.sends, last_response_code = u.code,
        queued_by = CASE WHEN d.state <> 0 AND u.state = 0 THEN pg_current_xact_id()
          ELSE d.queued_by END
      FROM unnest(d_i, d_id, d_day, d_step, d_state, d_sends, d_code)
        AS u(i, id, day, step, state, sends, code)
      WHERE d.transaction_id = u.id AND d.step = u.step AND d.day = u.day
        AND NOT (d.state = 1 AND u.state <> 1)
      RETURNING u.i
    )
    SELECT array_agg(u.i * 10 + CASE WHEN EXISTS (SELECT 1 FROM switchyard.delivery d
        WHERE d.transaction_id = u.id AND d.step = u.step AND d.day = u.day) THEN 6 ELSE 4 END)
      INTO v FROM unnest(d_i, d_id, d_day, d_step) AS u(i, id, day, step)
      WHERE u.i NOT IN (SELECT changed.i FROM changed);
    x := x || v;
  END IF;

  FOR s IN SELECT * FROM unnest(l_i, l_id, l_day, l_kind, l_known, l_recorded)
    AS l(i, id, day, kind, known, recorded) ORDER BY l.id COLLATE "C", l.i
  LOOP
    INSERT INTO switchyard.label
      (transaction_id, day, kind, known_at_ms, recorded_at_ms, position)
    SELECT s.id, s.day, s.kind, s.known, s.recorded, base + s.i
    WHERE EXISTS (SELECT 1 FROM switchyard.transaction t
        WHERE t.transaction_id = s.id AND t.day = s.day)
      AND p_labels_max > (SELECT count(*) FROM switchyard.label b
        WHERE b.transaction_id = s.id AND b.day = s.day)
    ON CONFLICT DO NOTHING;
    CONTINUE WHEN FOUND;
    x := x || (s.i * 10 + CASE
      WHEN EXISTS (SELECT 1 FROM switchyard.label b WHERE b.transaction_id = s.id
        AND b.day = s.day AND b.kind = s.kind AND b.known_at_ms = s.known) THEN 8
      WHEN EXISTS (SELECT 1 FROM switchyard.transaction t
        WHERE t.transaction_id = s.id AND t.day = s.day) THEN 9
      ELSE 4 END);
  END LOOP;

  IF cardinality(t_issuer) > 0 THEN
    INSERT INTO switchyard.trace_mark (issuer, slot, stan)
    SELECT t.issuer, p_slot, t.stan FROM unnest(t_issuer, t_stan) AS t(issuer, stan)
    ORDER BY t.issuer COLLATE "C"
    ON CONFLICT (issuer, slot) DO UPDATE SET stan = excluded.stan;
  END IF;

  UPDATE switchyard.owner SET last_batch = p_batch, exceptions = x WHERE owner = p_owner;
  RETURN x;
END $$;
`

/**
 * Leases. `open_lease` gives a new process its epoch and its slot of trace numbers. `keep_lease`
 * renews, ends the leases that ran out where that is allowed, and takes over what the ended ones
 * left: their open claims and their lanes.
 */
const LEASES = `
CREATE FUNCTION switchyard.end_expired() RETURNS int LANGUAGE sql AS $$
  WITH ended AS (
    UPDATE switchyard.owner SET ended_at = now()
    WHERE owner IN (SELECT o.owner FROM switchyard.owner o
      WHERE o.ended_at IS NULL AND o.lease_until < now() ORDER BY o.owner FOR UPDATE)
      AND ended_at IS NULL AND lease_until < now()
    RETURNING 1)
  SELECT count(*)::int FROM ended
$$;

CREATE FUNCTION switchyard.open_lease(p_owner text, p_lease_ms int, p_slots int)
RETURNS TABLE (lease_epoch bigint, slot smallint) LANGUAGE plpgsql AS $$
DECLARE
  v_slot smallint;
  v_epoch bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(7823642);
  PERFORM switchyard.end_expired();
  SELECT min(n) INTO v_slot FROM generate_series(0, p_slots - 1) AS n
    WHERE n NOT IN (SELECT o.slot FROM switchyard.owner o WHERE o.ended_at IS NULL);
  IF v_slot IS NULL THEN RETURN; END IF;
  v_epoch := nextval('switchyard.lease_epoch');
  INSERT INTO switchyard.owner (owner, lease_epoch, slot, lease_until)
    VALUES (p_owner, v_epoch, v_slot, now() + p_lease_ms * interval '1 millisecond');
  RETURN QUERY SELECT v_epoch, v_slot;
END $$;

CREATE FUNCTION switchyard.keep_lease(
  p_owner text, p_epoch bigint, p_lease_ms int, p_may_end boolean, p_issuers text[]
) RETURNS TABLE (adopted text[], lanes text[], lanes_taken text[], queued int)
LANGUAGE plpgsql AS $$
DECLARE
  v_adopted text[];
  v_taken text[];
BEGIN
  UPDATE switchyard.owner o SET lease_until = now() + p_lease_ms * interval '1 millisecond'
    WHERE o.owner = p_owner AND o.lease_epoch = p_epoch AND o.ended_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the lease of % is over', p_owner USING ERRCODE = 'SW001';
  END IF;
  IF p_may_end THEN PERFORM switchyard.end_expired(); END IF;
  WITH mine AS (
    UPDATE switchyard.open_claim k SET owner = p_owner
    WHERE k.transaction_id IN (SELECT c.transaction_id FROM switchyard.open_claim c
      WHERE c.owner <> p_owner AND NOT EXISTS (SELECT 1 FROM switchyard.owner o
        WHERE o.owner = c.owner AND o.ended_at IS NULL)
      ORDER BY c.transaction_id FOR UPDATE)
    RETURNING k.transaction_id, k.position)
  SELECT array_agg(mine.transaction_id ORDER BY mine.position) INTO v_adopted FROM mine;
  WITH wanted AS (
    SELECT unnest(p_issuers) AS issuer
    UNION SELECT d.issuer FROM switchyard.delivery d WHERE d.state = 0
  ), mine AS (
    INSERT INTO switchyard.lane AS l (issuer, owner)
    SELECT w.issuer, p_owner FROM wanted w ORDER BY w.issuer COLLATE "C"
    ON CONFLICT (issuer) DO UPDATE SET owner = p_owner
      WHERE NOT EXISTS (SELECT 1 FROM switchyard.owner o
        WHERE o.owner = l.owner AND o.ended_at IS NULL)
    RETURNING l.issuer)
  SELECT array_agg(mine.issuer) INTO v_taken FROM mine;
  RETURN QUERY SELECT
    coalesce(v_adopted, '{}'),
    ARRAY(SELECT l.issuer FROM switchyard.lane l WHERE l.owner = p_owner),
    coalesce(v_taken, '{}'),
    (SELECT count(*)::int FROM switchyard.delivery d WHERE d.state = 0);
END $$;
`

/**
 * Retention. A table's oldest partition before a day goes, one a call, so that its locks are held
 * for a moment only; one that would have to wait for them longer is left for the next time. A day
 * stays while something of it is open, queued or dead; its `transaction` goes first.
 * SECURITY DEFINER: as for making them.
 */
const RETENTION = `
CREATE FUNCTION switchyard.drop_partition(
  p_owner text, p_epoch bigint, p_table text, p_before int
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
  part text;
  part_day int;
BEGIN
  IF p_table <> ALL (ARRAY['transaction', 'record', 'step', 'delivery', 'label']) THEN
    RAISE EXCEPTION '% has no partitions', p_table;
  END IF;
  PERFORM 1 FROM switchyard.owner o
    WHERE o.owner = p_owner AND o.lease_epoch = p_epoch AND o.ended_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the lease of % is over', p_owner USING ERRCODE = 'SW001';
  END IF;
  PERFORM pg_advisory_xact_lock(7823641);
  FOR part, part_day IN
    SELECT c.relname, to_date(right(c.relname, 8), 'YYYYMMDD') - date '1970-01-01'
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = ('switchyard.' || p_table)::regclass AND c.relname ~ '_[0-9]{8}$'
    ORDER BY 2
  LOOP
    EXIT WHEN part_day >= p_before;
    IF p_table = 'transaction' THEN
      CONTINUE WHEN EXISTS (SELECT 1 FROM switchyard.open_claim o WHERE o.day = part_day)
        OR EXISTS (SELECT 1 FROM switchyard.delivery d WHERE d.day = part_day AND d.state <> 1);
    ELSE
      CONTINUE WHEN to_regclass('switchyard.transaction_' || right(part, 8)) IS NOT NULL;
    END IF;
    EXECUTE format('DROP TABLE switchyard.%I', part);
    RETURN part;
  END LOOP;
  RETURN NULL;
END $$;
`

export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'claims, transactions, store-and-forward, leases',
    sql: TABLES + PARTITIONS + COMMIT_BATCH + LEASES,
  },
  { version: 2, name: 'retention', sql: RETENTION },
]

/** What this version of the switch works with. */
export const SCHEMA_VERSION = MIGRATIONS.length
