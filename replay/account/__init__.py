"""What a strategy trades with: legs, orders, positions, cash, margin and greeks. Knows no lake and fills nothing."""
