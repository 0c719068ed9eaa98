-- Added to schema 1; versions that do not know it have no use for it.
CREATE TABLE IF NOT EXISTS unembedded (
    seq INTEGER NOT NULL REFERENCES clips (seq) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,    -- an encoder that cannot embed this clip
    revision INTEGER NOT NULL,    -- of the clip then: of a clip that was changed it says nothing
    PRIMARY KEY (seq, fingerprint)
) STRICT;
