"""What directory trees hold, to the last attribute. Also run on a host: python -c THIS TOP..."""
import fnmatch
import hashlib
import json
import os
import stat
import sys

# What a host changes by itself, and the lease's counter. A running server's files hold no promise.
BY_ITSELF = ("/var/log", "/var/lib/systemd", "*/.xcatha/lease", "*/pgsql/data/pg_[!h]*",
             "*/pgsql/data/base", "*/pgsql/data/global")


def picture(*tops):
    """{path: facts} of everything in the trees, links not followed but for the tops."""
    found, first_names = {}, {}
    for top in tops:
        for path in sorted(walk(top)):
            found[path] = facts(path, first_names)
    return found


def walk(top):
    """Every path of a tree on one filesystem."""
    for directory, names, files in os.walk(top):
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]
        names[:] = [name for name in names if name not in links
                    and not os.path.ismount(os.path.join(directory, name))
                    and not changes_by_itself(os.path.join(directory, name))]
        yield directory
        for path in (os.path.join(directory, name) for name in [*links, *files]):
            if not changes_by_itself(path):
                yield path


def changes_by_itself(path):
    """True for what no promise is about."""
    return any(fnmatch.fnmatch(path, pattern) for pattern in BY_ITSELF)


def facts(path, first_names):
    """Kind, mode, owner, times, attributes (ACLs too), contents, and the hard links' first name."""
    status = os.lstat(path)
    found = {"mode": stat.filemode(status.st_mode), "owner": [status.st_uid, status.st_gid],
             "changed": status.st_mtime_ns,
             "attributes": {name: os.getxattr(path, name, follow_symlinks=False).hex()
                            for name in os.listxattr(path, follow_symlinks=False)}}
    if stat.S_ISLNK(status.st_mode):
        found["target"] = os.readlink(path)
    if stat.S_ISREG(status.st_mode):
        found["same file as"] = first_names.setdefault((status.st_dev, status.st_ino), path)
        found["sparse"] = status.st_blocks * 512 < status.st_size
        with open(path, "rb") as file:
            found["contents"] = hashlib.sha256(file.read()).hexdigest()
    return found


if __name__ == "__main__":
    json.dump(picture(*sys.argv[1:]), sys.stdout)
