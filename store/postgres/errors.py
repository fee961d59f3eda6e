"""Errors of the store: one tree, each with the advice that an operator needs.

StoreError
├── UnreachableError, UnsupportedServerError, RoleError   store/postgres/database.py, store/postgres/roles.py
├── EmbeddedPostgresError                                 store/postgres/embedded.py
├── MigrationError                                        store/postgres/migrate.py
└── BackupError                                           store/backup/programs.py
"""


class StoreError(Exception):
    """Base of the store's errors. `advice` tells an operator what to do."""

    advice: str = ""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        if advice:
            self.advice = advice
