"""The vector index: exact search, IVF search with FAISS, snapshots on disk.

The only package that knows faiss. Works on row ids and vectors; knows nothing of clips or files.
"""
