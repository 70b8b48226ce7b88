"""What the plugins `fssr` and `dasr` share; a library, not a plugin of its own.

Both learn how real low-resolution images are degraded, generate pairs from clean photographs, and
train super-resolution on them.
"""
