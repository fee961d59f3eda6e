"""Dump of the database: complete, consistent, readable by any PostgreSQL that is not older.

The owner of the tables may make it. Row security is forced on the owner, too, and pg_dump refuses that unless
told to dump what it sees; so it is proved first that the owner sees every row of every table.
"""

from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from store.backup.manifest import DUMP, BackupManifest, sha256
from store.backup.programs import BackupError, program, run
from store.postgres.database import connect
from store.postgres.roles import Role


def dump(url: str, folder: Path, now: datetime) -> Path:
    """A new folder in `folder` with the dump and its manifest. Raises BackupError and StoreError.

    It has its name once it is complete: one that ends in `.partial` is what an interrupted backup left.
    """
    backup = folder / f"hesper-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    partial = backup.with_name(f"{backup.name}.partial")
    if backup.exists():
        raise BackupError(f"{backup} exists", advice="wait for a second, or name another folder")
    with connect(url, application="hesper backup") as connection:
        connection.execute("set idle_in_transaction_session_timeout = 0")  # idle while pg_dump works
        connection.commit()
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        _all_rows_are_seen(connection)
        partial.mkdir(mode=0o700, parents=True)
        (snapshot,) = connection.execute("select pg_export_snapshot()").fetchone() or ("",)
        version = connection.info.server_version
        what = ["--format=custom", "--enable-row-security", f"--snapshot={snapshot}"]
        run(program("pg_dump", version), [*what, f"--file={partial / DUMP}"], url)
        BackupManifest(
            taken_at=now,
            server_version=version,
            timescale=timescale(connection),
            sha256=sha256(partial / DUMP),
            rows=count_rows(connection),
            members=_members(connection),
        ).write(partial)
    partial.rename(backup)
    return backup


def tables(connection: psycopg.Connection) -> list[str]:
    """The tables of our schema, those of extensions and the parts of tables left out."""
    rows = connection.execute(
        """
        select c.relname from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
          and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid
                          and d.deptype = 'e')
        order by c.relname
        """
    )
    return [name for (name,) in rows]


def count_rows(connection: psycopg.Connection) -> dict[str, int]:
    """How many rows each table has."""
    counted = {}
    for name in tables(connection):
        row = connection.execute(
            sql.SQL("select count(*) from {}").format(sql.Identifier("public", name))
        ).fetchone()
        assert row is not None
        counted[name] = int(row[0])
    return counted


def timescale(connection: psycopg.Connection) -> str | None:
    """The version of TimescaleDB that the database has, if it does."""
    row = connection.execute("select extversion from pg_extension where extname = 'timescaledb'").fetchone()
    return None if row is None else str(row[0])


def _all_rows_are_seen(connection: psycopg.Connection) -> None:
    """Raises BackupError when the session's login may not read all rows of a table.

    A table that row security holds for this login needs a policy that lets it read all rows, and none that
    restricts.
    """
    rows = connection.execute(
        """
        select c.relname, current_user from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
          and (not has_table_privilege(c.oid, 'select')
               or row_security_active(c.oid)
                  and (exists (select from pg_policy p where p.polrelid = c.oid and not p.polpermissive)
                       or not exists (
                           select from pg_policy p, unnest(p.polroles) as whose
                           where p.polrelid = c.oid and p.polcmd in ('*', 'r')
                             and pg_get_expr(p.polqual, p.polrelid) = 'true'
                             and (whose = 0 or pg_has_role(whose, 'usage')))))
        order by c.relname
        """
    ).fetchall()
    if rows:
        raise BackupError(
            f"{rows[0][1]} may not read all rows of {', '.join(name for name, _ in rows)}",
            advice="let DATABASE_URL log in as the owner of the database, who ran `hesper migrate`",
        )


def _members(connection: psycopg.Connection) -> dict[str, list[str]]:
    rows = connection.execute(
        """
        select held.rolname, login.rolname
        from pg_auth_members m
        join pg_roles held on held.oid = m.roleid join pg_roles login on login.oid = m.member
        where held.rolname = any(%s) and login.rolname <> all(%s) and login.rolname <> current_user
        group by held.rolname, login.rolname order by held.rolname, login.rolname
        """,
        (list(Role), list(Role)),
    )
    members: dict[str, list[str]] = {}
    for role, login in rows:
        members.setdefault(role, []).append(login)
    return members
