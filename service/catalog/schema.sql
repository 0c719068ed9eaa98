-- Schema 2 of a library's catalogue. Checksums: see service/catalog/checksums.py.

CREATE TABLE meta (
    schema_version INTEGER NOT NULL,
    library TEXT NOT NULL,       -- identity of this library; the index snapshot names it
    revision INTEGER NOT NULL,   -- number of write transactions so far
    token INTEGER NOT NULL       -- random number of the last of them
) STRICT;

CREATE TABLE writes (
    revision INTEGER PRIMARY KEY,
    token INTEGER NOT NULL       -- tells a write from one with the same number in another copy
) STRICT;

CREATE TABLE clips (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,    -- order of insertion, from 1, never used twice
    revision INTEGER NOT NULL,                -- the write that last changed this clip
    id TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL CHECK (source IN ('stored', 'referenced', 'vector')),
    sha256 TEXT,
    path TEXT,
    media_type TEXT,
    size_bytes INTEGER,
    duration_s REAL,
    sample_rate_hz INTEGER,
    channels INTEGER,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    checksum INTEGER NOT NULL DEFAULT -1      -- of the columns from id to updated_at
) STRICT;
CREATE INDEX clips_by_revision ON clips (revision);
CREATE INDEX clips_by_content ON clips (sha256);
CREATE INDEX clips_by_file ON clips (path) WHERE source = 'stored';

CREATE TABLE vectors (
    seq INTEGER NOT NULL REFERENCES clips (seq) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,    -- the encoder
    precision TEXT NOT NULL,      -- the variant of it that made this vector
    embedding BLOB NOT NULL,      -- raw embedding, little-endian float16 [dim]
    checksum INTEGER NOT NULL DEFAULT -1,    -- of all columns before
    PRIMARY KEY (seq, fingerprint)
) STRICT;

CREATE TABLE windows (
    seq INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,    -- the encoder
    number INTEGER NOT NULL CHECK (number BETWEEN 1 AND 1048575),    -- in order of time
    start_s REAL NOT NULL,
    end_s REAL NOT NULL,
    embedding BLOB NOT NULL,      -- raw embedding, little-endian float16 [dim]
    checksum INTEGER NOT NULL DEFAULT -1,    -- of all columns before
    PRIMARY KEY (seq, fingerprint, number),
    FOREIGN KEY (seq, fingerprint) REFERENCES vectors (seq, fingerprint) ON DELETE CASCADE
) STRICT;

CREATE TABLE unembedded (
    seq INTEGER NOT NULL REFERENCES clips (seq) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,    -- an encoder that cannot embed this clip
    revision INTEGER NOT NULL,    -- of the clip at that time; a later change makes the row void
    PRIMARY KEY (seq, fingerprint)
) STRICT;

CREATE TABLE deletions (
    revision INTEGER NOT NULL,    -- the write that deleted the clip
    seq INTEGER NOT NULL,         -- 0 is no clip: all rows up to this revision were removed
    PRIMARY KEY (revision, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE damaged_audio (
    path TEXT PRIMARY KEY,    -- a file that differs from the digest of its clips; it is not served
    fault TEXT NOT NULL       -- what was found
) STRICT, WITHOUT ROWID;
