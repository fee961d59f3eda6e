"""The detectors: a file a family, each of which looks at a whole block."""
