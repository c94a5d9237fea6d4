"""lsdef, chdef, mkdef, rmdef, tabdump, chtab, tabrestore: the tables and the objects in them."""
import csv
import pathlib

from xcat.reply import CommandError, NoderangeError, Options
from xcat.schema import OBJECTS, TABLES

SITE = "clustersite"


def definitions(db, kind):
    """Every object of a type: name -> the attributes that are set."""
    if kind == "site":
        return {SITE: {row["key"]: row["value"] for row in db.rows("site")
                       if row["value"] is not None}}
    main, attributes = OBJECTS[kind]
    found = {name: {} for name in sorted(row[TABLES[main][0]] for row in db.rows(main))}
    for table in sorted({table for table, _ in attributes.values()}):
        for row in db.rows(table):
            values = {column: row[column] for column in TABLES[table][1:-2]
                      if attributes[column][0] == table and row[column] is not None}
            found.get(row[TABLES[table][0]], {}).update(values)
    return found


def expand(db, noderange):
    """The nodes of a comma-separated list of nodes and groups."""
    nodes = {row["node"]: (row["groups"] or "").split(",") for row in db.rows("nodelist")}
    found, unknown = [], []
    for word in noderange.split(","):
        members = [word] if word in nodes else [n for n in nodes if word in nodes[n]]
        found += members
        unknown += [] if members else [word]
    if unknown:
        raise NoderangeError(",".join(unknown))
    return sorted(found)


def nodels(db, reply, args):
    """The nodes of a noderange, or all."""
    for name in expand(db, args[0]) if args else sorted(definitions(db, "node")):
        reply.say(name)


# ---- Objects ----

def options_of(command, args):
    """The options that lsdef and the *def commands share; words without '=' name objects."""
    parser = Options(command)
    parser.add_argument("-t", dest="kind", default="node", choices=[*OBJECTS, "site"])
    parser.add_argument("-o", dest="names", default="")
    parser.add_argument("-i", dest="attributes", default="")
    parser.add_argument("-c", dest="compact", action="store_true")
    parser.add_argument("-l", dest="long", action="store_true")
    parser.add_argument("-f", dest="force", action="store_true")
    parser.add_argument("words", nargs="*")
    options = parser.parse_intermixed_args(args)
    named = [options.names, *(word for word in options.words if "=" not in word)]
    options.names = [name for text in named for name in text.split(",") if name]
    options.values = dict(word.split("=", 1) for word in options.words if "=" in word)
    return options


def lsdef(db, reply, args):
    """List the objects of a type, or the attributes of some."""
    options = options_of("lsdef", args)
    found = definitions(db, options.kind)
    wanted = [name for name in options.attributes.split(",") if name]
    if not found and not options.names:
        reply.say("Could not find any object definitions to display.")
    elif options.names or options.long or wanted:
        if options.names and not set(options.names) & set(found):
            reply.say("No object definitions have been found")
        for name in options.names or found:
            if name in found:
                show(reply, options, name, pick(found[name], wanted))
            else:
                reply.error(f"Could not find an object named '{name}' of type '{options.kind}'.")
    else:
        for name in found:
            reply.say(f"{name}  ({options.kind})")


def pick(attributes, wanted):
    """The wanted attributes that are set, or all, in alphabetical order."""
    return {name: attributes[name] for name in sorted(wanted or attributes) if name in attributes}


def show(reply, options, name, attributes):
    if not options.compact:
        reply.say(f"Object name: {name}")
    for attribute, value in attributes.items():
        prefix = f"{name}: " if options.compact else "    "
        reply.say(f"{prefix}{attribute}={value}")


def chdef(db, reply, args):
    """Set attributes; an object that does not exist is made."""
    options = options_of("chdef", args)
    names = [SITE] if options.kind == "site" else options.names
    if not names:
        raise CommandError("No object names were provided.")
    check(options)
    for name in names:
        define(db, options.kind, name, options.values)
    reply.say(f"{len(names)} object definitions have been created or modified.")


def check(options):
    """Every type but site knows its attributes."""
    for name in options.values if options.kind != "site" else ():
        if name not in OBJECTS[options.kind][1]:
            raise CommandError(f"'{name}' is not a valid attribute name for an object type of"
                               f" '{options.kind}'.")


def define(db, kind, name, values):
    if kind == "site":
        for key, value in values.items():
            db.put("site", {"key": key}, {"value": value})
        return
    main, attributes = OBJECTS[kind]
    changes = {main: {}}
    for attribute, value in values.items():
        table, column = attributes[attribute]
        changes.setdefault(table, {})[column] = value or None
    for table, columns in changes.items():
        db.put(table, {TABLES[table][0]: name}, columns)


def mkdef(db, reply, args):
    """As chdef, but refuses objects that exist, unless forced."""
    options = options_of("mkdef", args)
    taken = [name for name in options.names if name in definitions(db, options.kind)]
    if taken and not options.force:
        raise CommandError(f"A definition for '{taken[0]}' already exists.")
    chdef(db, reply, args)


def rmdef(db, reply, args):
    """Remove objects from every table."""
    options = options_of("rmdef", args)
    found = definitions(db, options.kind)
    for name in options.names:
        if name not in found:
            raise CommandError(f"Could not find an object named '{name}' of type"
                               f" '{options.kind}'.")
        for table in {table for table, _ in OBJECTS[options.kind][1].values()}:
            db.remove(table, {TABLES[table][0]: name})
    reply.say(f"{len(options.names)} object definitions have been removed.")


# ---- Tables ----

def tabdump(db, reply, args):
    """A table as text; without an argument, the names of all tables."""
    if not args:
        for table in TABLES:
            reply.say(table)
        return
    table = known(args[0])
    reply.say("#" + ",".join(TABLES[table]))
    for row in db.rows(table):
        reply.say(",".join(quoted(value) for value in row.values()))


def known(table):
    if table not in TABLES:
        raise CommandError(f"No such table: {table}")
    return table


def quoted(value):
    return "" if value is None else '"' + value.replace('"', '""') + '"'


def tabrestore(db, reply, args):
    """Let a table hold what a file, named as the table, says."""
    path = pathlib.Path(args[0])
    table = known(path.stem)
    lines = path.read_text().splitlines()
    rows = [[value or None for value in row] for row in csv.reader(lines[1:])]
    db.replace(table, [dict(zip(TABLES[table], row, strict=True)) for row in rows])


def chtab(db, reply, args):
    """chtab KEY=VALUE TABLE.COLUMN=VALUE ..., or chtab -d KEY=VALUE TABLE to delete."""
    words = [word for word in args if word != "-d"]
    pairs = dict(word.split("=", 1) for word in words if "=" in word)
    keys = {name: value for name, value in pairs.items() if "." not in name}
    if "-d" in args:
        for table in (word for word in words if "=" not in word):
            db.remove(known(table), keys)
    for name in pairs.keys() - keys.keys():
        table, column = name.split(".")
        db.put(known(table), keys, {column: pairs[name]})
