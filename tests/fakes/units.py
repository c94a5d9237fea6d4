"""A stand-in for systemd: it reads unit files, drop-ins and links where systemd reads them.

The supervisor, which builds on this module, is imported where a unit is started or stopped.
"""

import os
import sys

FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")
WANTS = "/etc/systemd/system/multi-user.target.wants"
RUNNING = "/run/fakes"


def names_in(folder):
    """The sorted names in a directory; none where there is no directory."""
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def unit_name(word):
    return word if "." in word else word + ".service"


def unit_file(name):
    """The path of a unit file, or None."""
    paths = (os.path.join(folder, name) for folder in FOLDERS)
    return next(filter(os.path.exists, paths), None)


def resolve(word):
    """The name of the unit that a word means: an alias is a link to the unit's file."""
    name = unit_name(word)
    return os.path.basename(os.path.realpath(unit_file(name) or name))


def drop_ins(name):
    """The drop-ins of a unit, in the order of their names."""
    folders = [f"{folder}/{name}.d" for folder in FOLDERS]
    paths = [f"{folder}/{file}" for folder in folders for file in names_in(folder)]
    return sorted((path for path in paths if path.endswith(".conf")), key=os.path.basename)


def read_unit(name):
    """Settings of a unit, drop-ins included, each a list of values; None if there is no file."""
    path = unit_file(name)
    if path is None:
        return None
    settings = {}
    for part in [path, *drop_ins(name)]:
        with open(part) as file:
            for key, equals, value in (line.strip().partition("=") for line in file):
                if equals:
                    settings[key] = settings.get(key, []) + [value] if value else []
    return settings


def words(settings, *keys):
    return [word for key in keys for value in settings.get(key, []) for word in value.split()]


def last(settings, key, default):
    return settings.get(key, [default])[-1]


# ---- State of a unit ----

NEVER_STARTED = {"ActiveState": "inactive", "Result": "success", "MainPID": "0"}


def state_of(name):
    """What is known of a unit that was started: ActiveState, Result, MainPID and Supervisor."""
    try:
        with open(f"{RUNNING}/{name}.state") as file:
            return dict(line.strip().split("=") for line in file)
    except FileNotFoundError:
        return NEVER_STARTED


def save_state(name, **state):
    path = f"{RUNNING}/{name}.state"
    with open(path + ".new", "w") as file:
        file.write("".join(f"{key}={value}\n" for key, value in state.items()))
    os.rename(path + ".new", path)


def is_up(name):
    return state_of(name)["ActiveState"] in ("active", "activating")


def bound_to(name):
    """The started units that say BindsTo= this one."""
    started = [file[: -len(".state")] for file in names_in(RUNNING) if file.endswith(".state")]
    return [
        unit for unit in started if is_up(unit) and name in words(read_unit(unit) or {}, "BindsTo")
    ]


def boot_state(name):
    """UnitFileState: enabled, disabled, static, or nothing where there is no such unit."""
    if unit_file(name) is None:
        return ""
    if os.path.lexists(f"{WANTS}/{name}"):
        return "enabled"
    return "disabled" if "WantedBy" in read_unit(name) else "static"


# ---- Verbs of systemctl ----


def complain(text, code=1):
    print(text, file=sys.stderr)
    return code


def start(name):
    settings = read_unit(name)
    if settings is None:
        return complain(f"Failed to start {name}: Unit {name} not found.", 5)
    if is_up(name):
        return 0
    for needed in words(settings, "BindsTo", "Requires"):
        if unit_file(needed) is None:
            return complain(f"Failed to start {name}: Unit {needed} not found.", 5)
        if start(needed):
            return complain(
                f"A dependency job for {name} failed. See 'journalctl -xe' for details."
            )
    import supervisor

    if supervisor.spawn(name):
        return 0
    return complain(
        f"Job for {name} failed because the control process exited with error code.\n"
        f'See "systemctl status {name}" and "journalctl -xeu {name}" for details.'
    )


def stop(name):
    if unit_file(name) is None and not is_up(name):
        return complain(f"Failed to stop {name}: Unit {name} not loaded.", 5)
    for unit in bound_to(name):
        stop(unit)
    if is_up(name):
        import supervisor

        supervisor.end(int(state_of(name)["Supervisor"]))
    return 0


def restart(name):
    return stop(name) or start(name)


def reload(name):
    if not is_up(name):
        return complain(f"Job type reload is not applicable for unit {name}.")
    return 0


def enable(name):
    if unit_file(name) is None:
        return complain(f"Failed to enable unit: Unit file {name} does not exist.")
    os.makedirs(WANTS, exist_ok=True)
    if not os.path.lexists(f"{WANTS}/{name}"):
        os.symlink(unit_file(name), f"{WANTS}/{name}")
        print(f"Created symlink {WANTS}/{name} → {unit_file(name)}.", file=sys.stderr)
    return 0


def disable(name):
    if unit_file(name) is None:
        return complain(f"Failed to disable unit: Unit file {name} does not exist.")
    if os.path.lexists(f"{WANTS}/{name}"):
        os.unlink(f"{WANTS}/{name}")
        print(f'Removed "{WANTS}/{name}".', file=sys.stderr)
    return 0


def reset_failed(name):
    if state_of(name)["ActiveState"] == "failed":
        save_state(name, ActiveState="inactive", Result="success", MainPID=0)
    return 0


def is_active(name):
    print(state_of(name)["ActiveState"])
    return 0 if is_up(name) else 3


def is_enabled(name):
    if unit_file(name) is None:
        return complain(f"Failed to get unit file state for {name}: No such file or directory")
    print(boot_state(name))
    return 1 if boot_state(name) == "disabled" else 0


def properties(name):
    """What `systemctl show` knows of a unit, in its order."""
    state = state_of(name)
    loaded = unit_file(name) is not None
    sub = {"active": "running", "activating": "start", "inactive": "dead"}
    return {
        "Type": last(read_unit(name) or {}, "Type", "simple"),
        "MainPID": state["MainPID"],
        "Result": state["Result"],
        "Id": name,
        "LoadState": "loaded" if loaded else "not-found",
        "ActiveState": state["ActiveState"],
        "SubState": sub.get(state["ActiveState"], state["ActiveState"]),
        "FragmentPath": os.path.realpath(unit_file(name)) if loaded else "",
        "UnitFileState": boot_state(name),
        "Job": "7" if state["ActiveState"] == "activating" else "0",
    }


def show(names, options):
    """Print the wanted properties of each unit, a blank line between two units."""
    wanted = [word for value in options.get("property", []) for word in value.split(",")]
    for number, name in enumerate(names):
        if number:
            print()
        for key, value in properties(name).items():
            if not wanted or key in wanted:
                print(value if "value" in options else f"{key}={value}")
    return 0


def parse(argv):
    """Words and options of a systemctl command line; options map to the list of their values."""
    options, rest, pending = {}, [], None
    for word in argv:
        if pending:
            options[pending].append(word)
            pending = None
        elif word in ("-p", "-P", "-t", "-n", "-s", "--property", "--type", "--signal"):
            pending = {"-p": "property", "-P": "property"}.get(word, word.lstrip("-"))
            options.setdefault(pending, [])
            if word == "-P":
                options["value"] = []
        elif word.startswith("-"):
            key, _, value = word.lstrip("-").partition("=")
            options.setdefault(key, []).append(value)
        else:
            rest.append(word)
    return rest, options


VERBS = {
    "start": start,
    "stop": stop,
    "restart": restart,
    "reload": reload,
    "enable": enable,
    "disable": disable,
    "reset-failed": reset_failed,
    "is-active": is_active,
    "is-enabled": is_enabled,
}


def systemctl(argv):
    (verb, *rest), options = parse(argv)
    if verb == "daemon-reload":
        return 0
    if verb == "is-system-running":
        return print("running") or 0
    if verb == "list-units":  # only ever asked for instances of templates; there are none
        return 0
    names = [resolve(word) for word in rest]
    if verb == "show":
        return show(names, options)
    codes = [VERBS[verb](name) for name in names]
    if "now" in options:
        codes += [{"enable": start, "disable": stop}[verb](name) for name in names]
    return min(codes) if verb.startswith("is-") else max(codes)


def journalctl(argv):
    """What the processes of the units named printed last."""
    for word in argv:
        path = f"{RUNNING}/{unit_name(word)}.journal"
        if os.path.isfile(path):
            with open(path) as file:
                print("".join(file.readlines()[-5:]), end="")
    return 0
