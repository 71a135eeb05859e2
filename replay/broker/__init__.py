"""The engine's broker: orders matched on the market's clock, charged, settled, and kept in a ledger."""
