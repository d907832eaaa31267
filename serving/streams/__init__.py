"""Event streams: framing, and the engine's stream guarded. Bytes in, bytes out, no I/O."""
