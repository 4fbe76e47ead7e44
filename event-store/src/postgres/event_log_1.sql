-- The log. Rows are inserted and never changed.
--
-- `stream_key` stands for the stream's name in the index: 16 bytes instead of up to 100, and those of streams
-- that were made at about the same time are neighbours, so that appends touch few pages.
CREATE TABLE events (
    position bigint PRIMARY KEY,
    version bigint NOT NULL,
    stream_key uuid NOT NULL,
    id uuid NOT NULL,
    schema_version integer NOT NULL,
    stream text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    metadata bytea NOT NULL,
    data bytea NOT NULL,
    UNIQUE (stream_key, version)
);

CREATE TABLE receipts (
    key bytea PRIMARY KEY,
    body bytea NOT NULL,
    stream text NOT NULL,
    answer bytea NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX receipts_by_expiry ON receipts (expires_at);

-- Appends a batch: many appends, each to a stream of its own and with a receipt key of its own, in one statement.
--
-- The lock is taken first and ends with the transaction, when the rows are visible. So positions are visible in
-- the order in which they were taken, over all processes, and there is no gap: what fails gives its numbers back.
-- Each statement in here sees what was committed before it began, so the ones behind the lock see everything.
--
-- Returns the position before the batch, and what became of each append: NULL when all were written; else for
-- each the position of its last event, minus that when it was written earlier, 0 for a conflict.
CREATE FUNCTION append_events(
    keys uuid[],                -- one for each append: its stream,
    expected bigint[],          -- the version after which it goes,
    counts integer[],           -- and how many events it has
    event_appends integer[],    -- one for each event: the number of its append, from 1,
    event_keys uuid[],          -- and its columns
    event_versions bigint[],
    event_ids uuid[],
    event_schema_versions integer[],
    event_streams text[],
    event_types text[],
    event_metadata bytea[],
    event_data bytea[],
    receipt_appends integer[],  -- one for each receipt: the number of its append,
    receipt_keys bytea[],       -- and its columns
    receipt_bodies bytea[],
    receipt_streams text[],
    receipt_answers bytea[],
    receipt_at bigint[],
    receipt_expires_at bigint[],
    OUT base bigint,
    OUT outcomes bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    heads bigint[];
    taken integer[] := '{}';
    last bigint;
    earlier record;
BEGIN
    PERFORM pg_advisory_xact_lock(4851334945752219650);

    base := coalesce((SELECT max(position) FROM events), 0);
    last := base;
    heads := ARRAY(
        SELECT coalesce((SELECT version FROM events WHERE stream_key = key ORDER BY version DESC LIMIT 1), 0)
        FROM unnest(keys) AS key
    );
    IF cardinality(receipt_appends) > 0 THEN
        taken := ARRAY(
            SELECT r.append FROM unnest(receipt_appends, receipt_keys, receipt_at) AS r (append, key, at)
            WHERE EXISTS (SELECT FROM receipts WHERE receipts.key = r.key AND receipts.expires_at > r.at)
        );
    END IF;

    IF heads = expected AND taken = '{}' THEN
        INSERT INTO events (position, version, stream_key, id, schema_version, stream, type, metadata, data)
        SELECT base + e.n, e.version, e.key, e.id, e.schema_version, e.stream, e.type, e.metadata, e.data
        FROM unnest(event_keys, event_versions, event_ids, event_schema_versions, event_streams, event_types,
                event_metadata, event_data)
            WITH ORDINALITY AS e (key, version, id, schema_version, stream, type, metadata, data, n);
        last := base + cardinality(event_keys);
    ELSE
        FOR n IN 1 .. cardinality(keys) LOOP
            IF heads[n] <> expected[n] THEN
                -- Whether exactly these events stand already where they were to go.
                SELECT count(*) AS found, max(events.position) AS position INTO earlier
                FROM unnest(event_appends, event_keys, event_versions, event_ids) AS e (append, key, version, id)
                JOIN events ON events.stream_key = e.key AND events.version = e.version AND events.id = e.id
                WHERE e.append = n;
                outcomes[n] := CASE WHEN earlier.found = counts[n] THEN -earlier.position ELSE 0 END;
            ELSIF n = ANY (taken) THEN
                outcomes[n] := 0;
            ELSE
                last := last + counts[n];
                outcomes[n] := last;
            END IF;
        END LOOP;
        INSERT INTO events (position, version, stream_key, id, schema_version, stream, type, metadata, data)
        SELECT outcomes[e.append] - (expected[e.append] + counts[e.append] - e.version), e.version, e.key, e.id,
            e.schema_version, e.stream, e.type, e.metadata, e.data
        FROM unnest(event_appends, event_keys, event_versions, event_ids, event_schema_versions, event_streams,
                event_types, event_metadata, event_data)
            AS e (append, key, version, id, schema_version, stream, type, metadata, data)
        WHERE outcomes[e.append] > 0;
    END IF;

    IF cardinality(receipt_appends) > 0 THEN
        INSERT INTO receipts (key, body, stream, answer, expires_at)
        SELECT r.key, r.body, r.stream, r.answer, r.expires_at
        FROM unnest(receipt_appends, receipt_keys, receipt_bodies, receipt_streams, receipt_answers,
                receipt_expires_at) AS r (append, key, body, stream, answer, expires_at)
        WHERE outcomes IS NULL OR outcomes[r.append] > 0
        ON CONFLICT (key) DO UPDATE SET body = excluded.body, stream = excluded.stream, answer = excluded.answer,
            expires_at = excluded.expires_at;
    END IF;

    -- Told to the listeners of all processes with the commit.
    IF last > base THEN
        PERFORM pg_notify('countersign_events', last::text);
    END IF;
END
$$;
