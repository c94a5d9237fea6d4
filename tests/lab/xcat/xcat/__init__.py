"""A stand-in for xCAT 2.19: what a management node's commands, daemon and database do."""
VERSION = "Version 2.19.0 (git commit 7733d16f8de0)"
