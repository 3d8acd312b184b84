"""The snapshot protocol's bytes, shared by agent and daemon. Standard library only, no IO."""
