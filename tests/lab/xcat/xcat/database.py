"""The tables, in the database that /etc/xcat/cfgloc names: SQLite files, PostgreSQL or MariaDB.

Another engine is one more class in ENGINES.
"""
import contextlib
import importlib
import itertools
import math
import os
import pathlib
import time

from xcat.reply import CommandError
from xcat.schema import TABLES

CFGLOC = pathlib.Path("/etc/xcat/cfgloc")
KEY_LENGTH = 128  # of a key, the first column, in a server's tables
PATIENCE = 60  # seconds for which a command waits for the database, for each table anew


def cfgloc():
    """The place of the database: $XCATCFG, else the first line of cfgloc, else SQLite."""
    lines = CFGLOC.read_text().splitlines() if CFGLOC.exists() else []
    default = "/opt/xcat/cfg" if os.path.isdir("/opt/xcat/cfg") else "/etc/xcat"
    place = os.environ.get("XCATCFG") or "".join(lines[:1]) or default
    return place if ":" in place else f"SQLite:{place}"


class SQLite:
    """One file for each table, as the real one has it."""
    driver = "sqlite3"
    remote = False
    mark = "?"
    catalogue = "SELECT 1 FROM sqlite_master WHERE name = ?"

    def __init__(self, place):
        self.directory = pathlib.Path(place)

    def connect(self, driver, table):
        path = self.directory / f"{table}.sqlite"
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
        return driver.connect(path)

    def description(self):
        """What lsxcatd -d says."""
        return ["dbengine=SQLite"]


class Server:
    """A server reached over TCP: dbname=NAME;host=ADDRESS|USER|PASSWORD."""
    remote = True
    mark = "%s"
    catalogue = "SELECT 1 FROM information_schema.tables WHERE table_name = %s"

    def __init__(self, place):
        self.text, self.user, self.password = place.split("|")
        self.source = dict(item.split("=", 1) for item in self.text.split(";"))

    def connect(self, driver, table):
        return driver.connect(database=self.source["dbname"], host=self.source["host"],
                              user=self.user, password=self.password, connect_timeout=5,
                              **self.options)

    def description(self):
        """What lsxcatd -d says."""
        name, host = self.source["dbname"], self.text.partition("host=")[2]  # and all behind it
        return [f"cfgloc={self.kind}:dbname={name};host={host}|{self.user}",
                f"dbengine={self.kind}", f"dbname={name}", f"dbhost={host}",
                f"dbadmin={self.user}"]


class PostgreSQL(Server):
    kind = "Pg"
    driver = "psycopg2"
    options = {}


class MySQL(Server):
    """Found rows are counted, not changed ones, and "name" is a name, as in the other engines."""
    kind = "mysql"
    driver = "pymysql"
    options = {"client_flag": 2, "init_command": "SET SESSION sql_mode = 'ANSI_QUOTES'"}


ENGINES = {"SQLite": SQLite, "Pg": PostgreSQL, "mysql": MySQL}


class Database:
    """The tables. A connection is made for each access, so that a lost server does no harm."""

    def __init__(self, patience=PATIENCE):
        kind, place = cfgloc().split(":", 1)
        self.engine = ENGINES[kind](place)
        self.driver = importlib.import_module(self.engine.driver)
        self.error = self.driver.Error
        self.patience = patience if self.engine.remote else 0

    def connect(self, table):
        """A connection, tried again for as long as patience lasts."""
        end = time.monotonic() + self.patience
        while True:
            try:
                return self.engine.connect(self.driver, table)
            except self.driver.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def wait(self, complain_after=math.inf):
        """Come back when the database answers, after so many seconds with a complaint."""
        patience, self.patience = self.patience, min(self.patience, complain_after)
        try:
            self.connect("site").close()
        except self.driver.OperationalError:
            print(f"DBI connect('{self.engine.text}','{self.engine.user}',...) failed", flush=True)
            self.patience = patience
            self.connect("site").close()
        self.patience = patience

    @contextlib.contextmanager
    def opened(self, table):
        """A cursor to a table that is made now if it does not exist; commits at the end."""
        connection = self.connect(table)
        try:
            cursor = connection.cursor()
            cursor.execute(self.engine.catalogue, [table])
            if not cursor.fetchone():
                names = ", ".join(f'"{name}" TEXT' for name in TABLES[table])
                cursor.execute(f'CREATE TABLE "{table}" ({names})')
            yield cursor
            connection.commit()
        finally:
            connection.close()

    def rows(self, table):
        """Every row, as a dictionary, in the order in which the database has them."""
        names = TABLES[table]
        quoted = ", ".join(f'"{name}"' for name in names)
        with self.opened(table) as cursor:
            cursor.execute(f'SELECT {quoted} FROM "{table}"')
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def put(self, table, keys, values):
        """Change the row with these keys, or add it."""
        values = {**keys, **values}
        with self.opened(table) as cursor:
            assignments = self.terms(values, ", ")
            cursor.execute(f'UPDATE "{table}" SET {assignments} WHERE {self.terms(keys, " AND ")}',
                           [*values.values(), *keys.values()])
            if cursor.rowcount == 0:
                self.insert(cursor, table, values)

    def remove(self, table, keys):
        """Delete the rows with these keys."""
        with self.opened(table) as cursor:
            cursor.execute(f'DELETE FROM "{table}" WHERE {self.terms(keys, " AND ")}',
                           [*keys.values()])

    def replace(self, table, rows):
        """Let the table hold these rows and no other; one that is refused leaves it as it was."""
        keys = [next(iter(row.values())) or "" for row in rows]
        if self.engine.remote and max(map(len, keys), default=0) > KEY_LENGTH:
            raise CommandError("DB error: value too long for type character varying(128)")
        with self.opened(table) as cursor:
            cursor.execute(f'DELETE FROM "{table}"')
            for row in rows:
                self.insert(cursor, table, row)

    def insert(self, cursor, table, values):
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join(itertools.repeat(self.engine.mark, len(values)))
        cursor.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', [*values.values()])

    def terms(self, values, separator):
        return separator.join(f'"{name}" = {self.engine.mark}' for name in values)

    def site(self):
        """The attributes of the site."""
        return {row["key"]: row["value"] for row in self.rows("site")}
