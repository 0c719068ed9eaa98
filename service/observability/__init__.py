"""Prometheus metrics, traces and log lines.

May use the packages below `services.py`.
"""
