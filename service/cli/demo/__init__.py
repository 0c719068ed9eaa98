"""The demo library: sounds made by a script, so that a clone has something to search."""
