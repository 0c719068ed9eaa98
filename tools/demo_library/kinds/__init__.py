"""Which sounds the demo library holds, by where they are heard."""
