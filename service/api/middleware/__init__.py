"""ASGI layers around the application: telemetry, API keys, limits, admission, disconnects."""
