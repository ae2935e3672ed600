"""What kind of file system a path is on."""

from __future__ import annotations

from pathlib import Path

_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs", "fuse.glusterfs", "lustre"}
)


def is_network_file_system(path: Path) -> bool:
    """As far as /proc tells."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    mounts = {line.split()[1].replace("\\040", " "): line.split()[2] for line in lines if len(line.split()) > 2}
    place = path.resolve()
    nearest = next((str(each) for each in (place, *place.parents) if str(each) in mounts), None)
    return nearest is not None and mounts[nearest] in _NETWORK
