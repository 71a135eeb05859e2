"""The lake behind HTTP: the live endpoint at any past moment, its siblings, a stream, and a page to look at.

``serving`` runs it, ``app`` holds its routes, ``clock`` is the moment it answers for, ``keys`` who may ask, ``answers``
what is kept and compressed, ``edge`` what every request passes, ``stream`` bars as they come, ``tapes`` and ``trades``
what the page in ``page/`` draws. It reads lakes through :class:`replay.Lake` alone and writes nothing.
"""
