"""Makes a Debian host one of EL's or SLES's, as far as a package manager sees it. Runs in the host.

Two repositories of small rpm packages, and no trace of Debian's own package managers, nor of what
these packages bring: the units of the database servers, PostgreSQL's programs, Perl's drivers.
All that is Debian's own, and is kept in /opt/lab until a package brings it.
"""
import pathlib
import shutil
import subprocess

KEPT = pathlib.Path("/opt/lab")
PERL = "/usr/lib/x86_64-linux-gnu/perl5/5.36/DBD"
UNITS = "/usr/lib/systemd/system"
PROGRAMS = sorted(path.name for path in pathlib.Path("/usr/lib/postgresql/15/bin").iterdir())

MACROS = """\
%_dbpath /var/lib/rpm
%_topdir /tmp/rpmbuild
%_build_name_fmt %%{NAME}-%%{VERSION}.rpm
%__os_install_post %{nil}
"""
HEAD = """\
Name: {name}
Version: {version}
Release: 1
Summary: {name}
License: none
BuildArch: noarch
AutoReqProv: no
"""
UNIT = """\
%description
%install
install -D -m 644 {kept}/{unit}.service %{{buildroot}}{units}/{unit}.service
install -d %{{buildroot}}{data} %{{buildroot}}/usr/bin %{{buildroot}}/etc/my.cnf.d
for name in {programs}; do ln -s ../lib/postgresql/15/bin/$name %{{buildroot}}/usr/bin/; done
%post
systemctl daemon-reload >/dev/null 2>&1 || :
%files
{units}/{unit}.service
%attr(0700,{user},{user}) {data}
{files}
"""
DRIVER = """\
%description
%install
install -d %{{buildroot}}{perl}
ln -s {kept}/{module}.pm %{{buildroot}}{perl}/
%files
{perl}/{module}.pm
"""
SERVER = """\
%description
%install
install -d %{buildroot}/opt/xcat/sbin
cat >%{buildroot}/opt/xcat/sbin/mknb <<'SCRIPT'
#!/bin/sh
echo "of xCAT %{version}" >/tftpboot/xcat/genesis.fs.$1
SCRIPT
chmod 755 %{buildroot}/opt/xcat/sbin/mknb
%files
/opt/xcat/sbin/mknb
"""
# As xCAT's own: files below /install; a row in the tables for those that xcatconfig -u writes.
XCAT = """\
Requires: xCAT-server
%description
%install
for name in install/postscripts/syslog install/prescripts/sample etc/xcat/conf.orig/xcat.conf; do
    install -d "%{buildroot}/$(dirname $name)"
    echo "of xCAT %{version}" >"%{buildroot}/$name"
    touch -d "20$(echo %{version} | cut -d . -f 2)-01-01" "%{buildroot}/$name"
done
%post
if [ "$1" = 1 ]; then
    REGISTERED=1 /opt/xcat-repo/go-xcat --yes install
else
    . /etc/profile.d/xcat.sh
    xcatconfig -u
    XCATBYPASS=1 chdef -t site -o clustersite "upgraded=%{version} on $(hostname)"
    systemctl try-restart xcatd
fi
%files
/install/postscripts
/install/prescripts
/etc/xcat/conf.orig
"""
# What Debian has already and rpm does not know of.
GROUND = """\
Provides: /bin/sh
%description
%files
"""


def run(*argv):
    subprocess.run(argv, check=True)


def package(repository, name, version, spec):
    """An rpm in a repository."""
    file = pathlib.Path(f"/tmp/{name}.spec")
    file.write_text(HEAD.format(name=name, version=version) + spec)
    run("rpmbuild", "-bb", "--quiet", "--define", f"_rpmdir /srv/{repository}", file)


def unit(name, user, data, programs=()):
    """The spec of a database server: its unit is not enabled, as EL and SLES leave it."""
    files = [f"/usr/bin/{program}" for program in programs] or ["/etc/my.cnf.d"]
    return UNIT.format(kept=KEPT, units=UNITS, unit=name, user=user, data=data,
                       programs=" ".join(programs), files="\n".join(files))


def driver(module):
    """The spec of a driver of Perl's DBI."""
    return DRIVER.format(kept=KEPT, perl=PERL, module=module)


def take_away():
    """What the packages bring is not there before."""
    (KEPT / "debian").mkdir(parents=True)
    for path in (f"{PERL}/Pg.pm", f"{PERL}/mysql.pm", f"{UNITS}/postgresql.service",
                 f"{UNITS}/mariadb.service"):
        shutil.move(path, KEPT)
    stale = [*pathlib.Path(UNITS).glob("mariadb*"), *pathlib.Path(UNITS).glob("mysql*"),
             *pathlib.Path("/etc").glob("rc?.d/*mariadb"), pathlib.Path("/etc/init.d/mariadb"),
             *(pathlib.Path("/usr/bin", program) for program in PROGRAMS)]
    for path in stale:
        run("rm", "-rf", path)
    shutil.rmtree("/var/lib/pgsql")


def main():
    take_away()
    pathlib.Path("/etc/rpm").mkdir(exist_ok=True)
    pathlib.Path("/etc/rpm/macros").write_text(MACROS)
    package("ground", "ground", "1", GROUND)
    run("rpm", "-i", "--force-debian", "/srv/ground/ground-1.rpm")
    postgresql = unit("postgresql", "postgres", "/var/lib/pgsql/data", PROGRAMS)
    mariadb = unit("mariadb", "mysql", "/var/lib/mysql")
    for repository, names in (("el", ("mariadb-server", "perl-DBD-Pg", "perl-DBD-MySQL")),
                              ("sles", ("mariadb", "perl-DBD-Pg", "perl-DBD-mysql"))):
        package(repository, "postgresql-server", "15.9", postgresql)
        package(repository, names[0], "10.11.9", mariadb)
        package(repository, names[1], "3.14.2", driver("Pg"))
        package(repository, names[2], "4.050", driver("mysql"))
        package(repository, "xCAT-server", "2.19.0", SERVER)
        package(repository, "xCAT", "2.19.0", XCAT)
        run("createrepo_c", "-q", f"/srv/{repository}")
    for name, spec in (("xCAT-server", SERVER), ("xCAT", XCAT)):
        package("el-next", name, "2.20.0", spec)
    run("createrepo_c", "-q", "/srv/el-next")
    for name in ("apt", "apt-get", "dpkg", "dpkg-query"):
        shutil.move(f"/usr/bin/{name}", KEPT / "debian")


main()
