"""From files that people have to snapshots in a lake.

``mapping`` says which column is what, ``rows`` reads and checks rows, ``buckets`` keeps them by session within a
bound of memory, ``chain`` turns one session's rows into snapshots, ``run`` does it all and counts.
"""
