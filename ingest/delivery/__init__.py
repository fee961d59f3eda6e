"""What leaves the month close: signed messages to billing systems, and files."""
