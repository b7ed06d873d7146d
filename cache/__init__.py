"""The second-level cache that knows no entity: store, codec, stamps, holds, fence, breaker."""
