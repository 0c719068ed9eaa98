"""The HTTP API: reading requests, shaping responses, errors, keys, OpenAPI.

Reaches everything else through `service.services.Services`.
"""
