"""The way up: batches to the broker over MQTT, and their acknowledgements back."""
