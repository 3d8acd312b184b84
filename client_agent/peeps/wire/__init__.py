"""The snapshot protocol's bytes, shared by the agent and the daemon. Standard library only, no IO."""
