"""Client of the API of Hesper: `Client`, what it raises, and the documents that it gives."""

from hesper_client.client import Client
from hesper_client.transport import ProblemError, Seen

__all__ = ["Client", "ProblemError", "Seen"]
