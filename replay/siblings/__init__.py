"""The heatmap's sibling endpoints, of any past moment: ``series`` of headline numbers and ``strike_flow``.

Shapes are those that the vendor publishes; what its snapshots know and stored ones do not is null.
"""
