"""Strategies that ship, each an example of what a strategy can be written like."""
