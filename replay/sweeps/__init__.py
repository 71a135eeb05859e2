"""Sweeps: many sets of parameters over many sessions, here or on a cluster."""
