"""Runs inside a jail's new namespaces: leaves a root folder with little more than /usr, then becomes the program.

Called by path, as ``python -I inmate.py SPECIFICATION PROGRAM ARGUMENT...``, so it imports nothing of ftchaos.

Source: mount_setattr(2), pivot_root(2), whose manual page has the trick of two dots.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

_PRIVATE, _RECURSIVE, _BIND, _REMOUNT = 1 << 18, 1 << 14, 1 << 12, 1 << 5
_READ_ONLY, _NO_SUID, _NO_DEV = 1, 2, 4
_MOUNT_SETATTR, _CURRENT_FOLDER, _AT_RECURSIVE = 442, -100, 0x8000
_DETACH = 2
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", "LC_ALL": "C"}
_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")]


def main() -> None:
    """Enter the root folder that the specification describes, give up all rights, and run the program."""
    specification = json.loads(sys.argv[1])
    _enter(specification["root"], specification["read"], specification["write"])
    os.chdir(specification["folder"])
    argv = [*specification["give_up"], *sys.argv[2:]]
    os.execve(argv[0], argv, _ENVIRONMENT)  # not execvp: it imports, and Python's own files are out of sight by now


def _enter(root: str, read: list[str], write: list[str]) -> None:
    _mount("none", "/", None, _PRIVATE | _RECURSIVE)
    _mount("tmpfs", root, "tmpfs", _NO_SUID | _NO_DEV, "size=1m,mode=755")
    for path in read:
        if os.path.islink(path):
            os.makedirs(os.path.dirname(root + path), mode=0o755, exist_ok=True)
            os.symlink(os.readlink(path), root + path)
        else:
            _bind(path, root + path)
            _seal(root + path)
    for path in (*write, *_DEVICES):
        _bind(path, root + path)
    os.chdir(root)
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _DETACH), "umount2")
    os.chdir("/")
    _mount(None, "/", None, _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEV)


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, mode=0o755, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    _mount(source, target, None, _BIND | _RECURSIVE)


def _seal(target: str) -> None:
    """Make a mount and all below it read-only, whatever other flags they have."""
    attributes = _Attributes(set=_READ_ONLY | _NO_SUID | _NO_DEV)
    size = ctypes.sizeof(attributes)
    status = _libc.syscall(
        _MOUNT_SETATTR, _CURRENT_FOLDER, target.encode(), _AT_RECURSIVE, ctypes.byref(attributes), size
    )
    _check(status, f"mount_setattr {target}")


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    words = (text.encode() if text is not None else None for text in (source, target, kind))
    data = options.encode() if options is not None else None
    _check(_libc.mount(*words, ctypes.c_ulong(flags), data), f"mount {target}")


def _check(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
