"""Pictures of a heatmap: text for a terminal, an HTML page, a PNG. Computes nothing about markets."""
