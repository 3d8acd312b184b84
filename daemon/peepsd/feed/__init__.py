"""The observer feed: what observers are sent over WebSocket, and when.

The rules it keeps (R1 to R34) are listed with how each is met in docs/observer-protocol.md.
"""
