"""The tables, some of the real one's seventy-three, and the object types made of them."""


def columns(text):
    """Column names; every table ends with these two."""
    return [*text.split(), "comments", "disable"]


# The first column is the key.
TABLES = {
    "bootparams": columns("node kernel initrd kcmdline addkcmdline"),
    "chain": columns("node currstate currchain chain ondiscover"),
    "hosts": columns("node ip hostnames otherinterfaces"),
    "ipmi": columns("node bmc bmcport taggedvlan bmcid username password"),
    "linuximage": columns("imagename template boottarget addkcmdline pkglist pkgdir otherpkglist"
                          " otherpkgdir exlist postinstall rootimgdir kerneldir"),
    "mac": columns("node interface mac"),
    "networks": columns("netname net mask mgtifname gateway dhcpserver tftpserver nameservers"
                        " ntpservers logservers dynamicrange staticrange staticrangeincrement"
                        " nodehostname ddnsdomain vlanid domain mtu"),
    "nodegroup": columns("groupname grouptype members membergroups wherevals"),
    "nodehm": columns("node power mgt cons termserver termport conserver serialport serialspeed"
                      " serialflow getmac cmdmapping consoleondemand consoleenabled"),
    "nodelist": columns("node groups status statustime appstatus appstatustime primarysn hidden"
                        " updatestatus updatestatustime zonename"),
    "noderes": columns("node servicenode netboot tftpserver tftpdir nfsserver monserver nfsdir"
                       " installnic primarynic discoverynics cmdinterface xcatmaster"
                       " current_osimage next_osimage nimserver routenames nameservers proxydhcp"
                       " syslog"),
    "nodetype": columns("node os arch profile provmethod supportedarchs nodetype"),
    "osimage": columns("imagename groups profile imagetype description provmethod rootfstype"
                       " osdistroname osname osvers osarch synclists postscripts postbootscripts"),
    "passwd": columns("key username password cryptmethod authdomain"),
    "policy": columns("priority name host commands noderange parameters time rule"),
    "postscripts": columns("node postscripts postbootscripts"),
    "site": columns("key value"),
}


def attributes(*tables):
    """Attribute name -> (table, column), for the columns of these tables that carry values."""
    return {column: (table, column) for table in tables for column in TABLES[table][1:-2]}


# Object type -> (table that lists the objects, attributes). The type site is a case of its own.
OBJECTS = {
    "network": ("networks", attributes("networks")),
    "node": ("nodelist", attributes("chain", "bootparams", "ipmi", "nodehm", "noderes", "nodetype",
                                    "hosts", "mac", "postscripts", "nodelist")),
    "osimage": ("osimage", attributes("linuximage", "osimage")),
    "policy": ("policy", attributes("policy")),
}
