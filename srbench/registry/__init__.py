"""The plugin API and the discovery of plugins; imports no torch."""
