"""What worked in a recorded environment when it was tried, in the terms of surveyd's findings."""

# One of these is what containers are held by.
NEEDED = {"cpu", "memory", "pids"}


def _worked(row, *names):
    return any(row["truth"][name] == "ok" for name in names)


def _is_cgroup2(row):
    """At /sys/fs/cgroup; on what else is mounted there a directory is no cgroup."""
    return row["facts"]["sys_fs_cgroup"].startswith("cgroup2")


def _offers(row, name):
    return bool(NEEDED & set((row["truth"][name] or "").split()))


def overlayfs(row):
    return _worked(row, "overlay_mount", "overlay_mount_own_userns")


def fuse_overlayfs(row):
    return _worked(row, "fuse_overlayfs", "fuse_overlayfs_own_userns")


def tun(row):
    return _worked(row, "tun_setiff", "tun_setiff_own_userns")


def cgroup_root(row):
    return _is_cgroup2(row) and _worked(row, "root_mkdir")


def host_placement(row):
    # Only the real root of the tree has no type.
    return cgroup_root(row) and not row["truth"]["root_type"] and _offers(row, "root_controllers")


def scope_placement(row):
    own = _is_cgroup2(row) and _worked(row, "own_mkdir") and _offers(row, "own_controllers")
    is_of_namespace = cgroup_root(row) and row["truth"]["root_type"]
    return bool(own or is_of_namespace and _offers(row, "root_controllers"))


# Finding -> whether it worked.
TRUTH = {
    "overlayfs_rootfs_available": overlayfs,
    "fuse_overlayfs_rootfs_available": fuse_overlayfs,
    "tun_device_available": tun,
    "can_write_cgroup_root": cgroup_root,
    "cgroup_host_placement": host_placement,
    "cgroup_scope_placement": scope_placement,
}


def contradicts(finding, worked):
    """Verified, it says yes where it worked and no where it did not. What could only be claimed may
    be unknown."""
    said = "yes" if worked else "no"
    allowed = {said} if finding["basis"] == "verified" else {said, "unknown"}
    return finding["status"] not in allowed
