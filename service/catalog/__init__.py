"""The catalogue of a library in SQLite, and the folder of its stored audio files.

The only package that imports sqlite3. May use `service.clips`, `service.row_ids`, `concurrency` and
`service.errors`; it runs no encoder and no index.
"""
