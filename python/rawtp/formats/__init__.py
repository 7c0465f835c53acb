"""Events as text. Everything here takes plain dicts and returns ``str``: no kernel, no Rust, no streams."""
