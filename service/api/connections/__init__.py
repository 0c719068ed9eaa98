"""Connections of the server: bounds of request heads, deadlines of slow clients, a cap."""
