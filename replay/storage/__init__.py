"""The stored lake: where files lie, how they are written, and the one way to read the past.

``files`` knows paths and file systems, ``engine`` is the only home of DuckDB, ``columns`` decodes lists,
``reader`` joins the two into visible rows, ``writer`` adds files, ``inventory`` says what there is.
"""
