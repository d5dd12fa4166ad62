"""How many threads the kernels use."""

import math
import os

from cnn_core._kernels import runtime

_default: int | None = None  # once it is known
_chosen: int | None = None  # with set_num_threads


def get_num_threads() -> int:
    """Threads that a kernel may use, the caller's included.

    Unless `set_num_threads` or the environment variable ``CNN_CORE_NUM_THREADS`` says otherwise:
    the CPUs this process may run on, but no more than its cgroup's CPU quota pays for.
    """
    global _default
    if _chosen is not None:
        return _chosen
    if _default is None:
        _default = _from_environment() or min(_affinity(), _cgroup_quota(), runtime.MAX_THREADS)
        runtime.set_num_threads(_default)
        if _chosen is not None:  # by another thread meanwhile
            runtime.set_num_threads(_chosen)
            return _chosen
    return _default


def set_num_threads(n_threads: int) -> None:
    """Use at most ``n_threads`` threads from the next kernel on, in the whole process.

    Results do not depend on it: sums are cut by shapes alone.

    Raises
    ------
    TypeError, ValueError
        If ``n_threads`` is not an integer between 1 and 256.
    """
    global _chosen
    chosen = _chosen = _checked(n_threads, "set_num_threads")
    runtime.set_num_threads(chosen)


def _checked(n_threads: object, source: str) -> int:
    if isinstance(n_threads, bool) or not hasattr(n_threads, "__index__"):
        raise TypeError(f"{source}: expects an integer, got {n_threads!r}")
    n = n_threads.__index__()
    if not 1 <= n <= runtime.MAX_THREADS:
        raise ValueError(f"{source}: expects 1 to {runtime.MAX_THREADS} threads, got {n}")
    return n


def _from_environment() -> int | None:
    text = os.environ.get("CNN_CORE_NUM_THREADS", "").strip()
    if not text:
        return None
    if not text.isdecimal():
        raise ValueError(f"CNN_CORE_NUM_THREADS: expects an integer, got {text!r}")
    return _checked(int(text), "CNN_CORE_NUM_THREADS")


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cgroup_quota() -> int:
    """CPUs that the quotas of this process's cgroup and its parents pay for, rounded down, at least 1."""
    quota = math.inf
    for folder in _cgroup_folders():
        try:
            if os.path.exists(os.path.join(folder, "cpu.max")):  # v2: "200000 100000", in microseconds
                allowed, period = _text(os.path.join(folder, "cpu.max")).split()
            else:  # cgroup v1
                allowed = _text(os.path.join(folder, "cpu.cfs_quota_us")).strip()
                period = _text(os.path.join(folder, "cpu.cfs_period_us")).strip()
            if allowed not in ("max", "-1") and int(period) > 0:
                quota = min(quota, int(allowed) / int(period))
        except (OSError, ValueError):
            continue  # no quota set here, or not for us to read
    return runtime.MAX_THREADS if quota == math.inf else max(1, int(quota))


def _cgroup_folders() -> list[str]:
    root = "/sys/fs/cgroup"
    folders = [root, f"{root}/cpu"]
    try:
        lines = _text("/proc/self/cgroup").splitlines()
    except OSError:
        return folders
    for line in lines:  # "0::/user.slice/..." in v2, "4:cpu,cpuacct:/docker/..." in v1
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "cpu" in controllers.split(","):
            here = root if controllers == "" else f"{root}/cpu"
            for name in path.strip("/").split("/"):  # from the root down to this process's own
                here = f"{here}/{name}"
                folders.append(here)
    return folders


def _text(path: str) -> str:
    with open(path) as file:
        return file.read()
