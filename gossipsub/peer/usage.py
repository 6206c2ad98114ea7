"""What a test peer's process took of the machine."""

from __future__ import annotations

import os
import resource
import sys
import time


def usage(cpu_at_reset: float) -> dict[str, float]:
    """CPU seconds, since `cpu_at_reset` (a `time.process_time`) among others, and bytes."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024
    resident = _resident_bytes(most)
    return {
        "cpu_user_s": used.ru_utime,
        "cpu_sys_s": used.ru_stime,
        "cpu_s": used.ru_utime + used.ru_stime,
        "cpu_since_reset_s": time.process_time() - cpu_at_reset,
        "rss_bytes": resident,
        "max_rss_bytes": max(most, resident),  # the system updates its maximum now and then
    }


def _resident_bytes(otherwise: int) -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux
        return otherwise
