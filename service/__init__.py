"""The service: embeds, subtracts and searches sounds over HTTP and from the shell."""

__version__ = "0.1.0"
