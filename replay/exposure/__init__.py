"""Implied vol, greeks and per-strike exposures of a same-day chain. Needs the extra ``[ingest]``."""
