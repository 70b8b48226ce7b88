"""Runs cells: identity, the worker process, executors."""
