"""What can be wrong with bytes on the wire, and whose fault it is: always the peer's."""


class WireError(Exception):
    """The peer broke the snapshot protocol."""


class FrameLengthError(WireError):
    """A frame announced a length that is zero or above the limit. The stream cannot be resumed:
    where the next frame starts is unknown."""

    def __init__(self, length: int, limit: int) -> None:
        self.length = length
        self.limit = limit
        what = "empty frame" if length == 0 else f"frame of {length} bytes"
        super().__init__(f"{what}; a frame holds 1 to {limit} bytes")


class MessageError(WireError):
    """A frame was not the JSON object that the protocol asks for. The connection can go on."""
