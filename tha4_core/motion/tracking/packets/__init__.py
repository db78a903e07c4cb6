"""Face trackers on the network: the bytes of a datagram to a face, one module a protocol. Nothing here opens a socket.

`protocols.PROTOCOLS` lists them all, with their ports and what starts them.
"""
