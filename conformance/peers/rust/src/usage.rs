//! What the process took of the machine: seconds of CPU, bytes of memory.

#[derive(Default)]
pub struct Usage {
    pub user: f64,
    pub system: f64,
    pub rss: u64,
    pub max_rss: u64,
}

#[cfg(unix)]
pub fn read() -> Usage {
    let mut raw = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call fills the structure that it is given, and zeros are a valid one.
    let raw = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, raw.as_mut_ptr());
        raw.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    // Kibibytes everywhere but on Apple's systems.
    let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
    let max_rss = raw.ru_maxrss as u64 * unit;
    let rss = resident_bytes().unwrap_or(max_rss);
    Usage {
        user: seconds(raw.ru_utime),
        system: seconds(raw.ru_stime),
        rss,
        max_rss: max_rss.max(rss), // the system brings its maximum up to date only now and then
    }
}

/// None where there is no /proc.
#[cfg(unix)]
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    // SAFETY: a query without pointers.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages * page_bytes as u64)
}

#[cfg(not(unix))]
pub fn read() -> Usage {
    Usage::default()
}
