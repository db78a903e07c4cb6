"""Live: pages and programs that share a session, trackers on the network, and speech. See docs/live_api.md.

`routes.register` declares it all. Nothing listens and no timer runs before a page asks for it.
"""
