"""MQTT: deliveries in, acknowledgements and requests out."""
