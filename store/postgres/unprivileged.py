"""Running a program as a user who is not root: PostgreSQL insists on it.

`python -m store.postgres.unprivileged FOLDER PROGRAM ARGUMENT...` becomes the user that owns FOLDER (when
root) and is then replaced by PROGRAM: same process id, so a supervisor sees and signals the program itself.
It leads a process group of its own, so a Ctrl-C in the terminal reaches only the supervisor, which stops all
in order.
"""

import ctypes
import os
import pwd
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CANDIDATES = ("hesper", "postgres", "nobody")
_PR_SET_PDEATHSIG = 1
_PR_GET_PDEATHSIG = 2


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the system, by number."""

    uid: int
    gid: int

    def for_subprocess(self) -> dict[str, Any]:
        """The keyword arguments that make `subprocess` run a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account_for(folder: Path) -> Account | None:
    """Account that a program in `folder` must run as; None where we are not root and need no change.

    Raises LookupError on a system without any of the candidates.
    """
    if os.geteuid() != 0:
        return None
    owner = folder.stat()
    if owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise LookupError(f"none of the users {', '.join(_CANDIDATES)} exists")


def own(folder: Path, account: Account) -> None:
    """Gives an existing folder to the user, closed to everybody else."""
    os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)


def passable(path: Path, account: Account) -> None:
    """Lets the user pass through the folders above `path` (o+x where it lacks), without reading them."""
    for folder in path.resolve().parents:
        state = folder.stat()
        bit = 0o100 if state.st_uid == account.uid else 0o010 if state.st_gid == account.gid else 0o001
        if not state.st_mode & bit:
            folder.chmod((state.st_mode & 0o7777) | bit)


def become(account: Account) -> None:
    """Gives up root for good.

    The kernel then forgets which signal the death of the parent should bring (prctl(2), PR_SET_PDEATHSIG);
    a supervisor that asked for one still gets it.
    """
    libc = ctypes.CDLL(None)
    parting = ctypes.c_int(0)
    libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(parting))
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    libc.prctl(_PR_SET_PDEATHSIG, parting)


def main(arguments: list[str]) -> None:
    """Never returns: the process becomes the program."""
    folder, program = Path(arguments[0]), arguments[1:]
    account = account_for(folder)
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    os.chdir(folder)
    if account is not None:
        become(account)
    os.execv(program[0], program)  # noqa: S606 - that is what this is for


if __name__ == "__main__":
    main(sys.argv[1:])
