//! What the process itself takes, as the kernel says it: the metrics that every client library of Prometheus has.

use crate::metrics::table::{CPU_SECONDS, MAX_FDS, OPEN_FDS, RESIDENT_MEMORY, START_TIME};
use nix::unistd::{SysconfVar, sysconf};

/// Sets them; what cannot be read stays as it was.
pub(super) fn refresh() {
    let [ticks, page] = [SysconfVar::CLK_TCK, SysconfVar::PAGE_SIZE].map(configured);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    if let Some(stat) = Stat::parse(&read("/proc/self/stat")) {
        CPU_SECONDS.set(&[], stat.cpu.saturating_mul(1_000_000) / ticks);
        RESIDENT_MEMORY.set(&[], stat.resident.saturating_mul(page));
        if let Some(booted) = boot_time(&read("/proc/stat")) {
            START_TIME.set(&[], booted + stat.started / ticks);
        }
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One is the directory's own.
        OPEN_FDS.set(&[], (open.count() as u64).saturating_sub(1));
    }
    if let Some(most) = most_files(&read("/proc/self/limits")) {
        MAX_FDS.set(&[], most);
    }
}

fn configured(name: SysconfVar) -> u64 {
    let value = sysconf(name).ok().flatten();
    value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0).unwrap_or(1)
}

/// Of proc_pid_stat(5).
struct Stat {
    /// User and system time, in ticks.
    cpu: u64,
    /// In ticks since the machine was booted.
    started: u64,
    /// In pages.
    resident: u64,
}

impl Stat {
    /// The name of the program, which may hold anything, is in brackets; fields are counted behind it.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self { cpu: field(14)? + field(15)?, started: field(22)?, resident: field(24)? })
    }
}

/// Of proc_stat(5): seconds since 1970.
fn boot_time(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Of proc_pid_limits(5): the soft limit; an unlimited one is none.
fn most_files(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read_by_field() {
        let text = "7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 30 12 0 0 20 0 5 0 9900 1000000 250 18446744073709551615 1";
        let stat = Stat::parse(text).expect("stat");
        assert_eq!((stat.cpu, stat.started, stat.resident), (42, 9900, 250));
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\nprocesses 3\n"), Some(1_700_000_000));
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
            Max open files            1024                 524288               files\n";
        assert_eq!(most_files(limits), Some(1024));
        assert!(Stat::parse("").is_none());
    }

    #[test]
    fn this_process_takes_something() {
        refresh();
        for family in [&RESIDENT_MEMORY, &OPEN_FDS, &MAX_FDS, &START_TIME] {
            assert!(family.sum() > 0, "{}", family.name);
        }
    }
}
