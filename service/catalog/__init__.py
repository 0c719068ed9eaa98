"""The library's catalogue in SQLite, and the folder of stored audio files.

The only package that knows sqlite3. Runs no encoder and no index.
"""
