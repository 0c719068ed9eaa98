-- Added to schema 1; versions that do not know it make clips without windows, and remove the
-- windows of the clips that they replace or remove.
CREATE TABLE IF NOT EXISTS windows (
    seq INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,    -- the encoder
    number INTEGER NOT NULL CHECK (number BETWEEN 1 AND 1048575),    -- in order of time
    start_s REAL NOT NULL,
    end_s REAL NOT NULL,
    embedding BLOB NOT NULL,      -- raw embedding, little-endian float16 [dim]
    PRIMARY KEY (seq, fingerprint, number),
    FOREIGN KEY (seq, fingerprint) REFERENCES vectors (seq, fingerprint) ON DELETE CASCADE
) STRICT;
