"""The ASGI layers around the application: telemetry, keys, limits, admission, disconnects."""
