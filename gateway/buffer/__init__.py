"""The buffer: readouts on disk from the moment they are read until the ingester has committed them."""
