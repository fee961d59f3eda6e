"""A billing system that may be killed at any instant: it stores a message by its id, then answers.

python receiver.py PORT DATABASE
"""

import random
import sqlite3
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Receiver(BaseHTTPRequestHandler):
    """What arrives again under a known id is confirmed and not stored again."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        chance = random.random()
        time.sleep(0.004 * chance)  # wide enough for a kill before the message is stored ...
        with sqlite3.connect(sys.argv[2]) as store:
            store.execute("insert into arrivals values (?, ?)", (self.headers["webhook-id"], body))
            store.execute("insert or ignore into taken values (?, ?)", (self.headers["webhook-id"], body))
        time.sleep(0.004 * chance)  # ... and before it is confirmed
        self.send_response(503 if chance > 0.9 else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


if __name__ == "__main__":
    with sqlite3.connect(sys.argv[2]) as made:
        made.execute("create table if not exists taken (id text primary key, body blob)")
        made.execute("create table if not exists arrivals (id text, body blob)")
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
