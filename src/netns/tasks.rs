//! Which tasks are in which network namespace, by one scan of a procfs.
//!
//! Looking at another task's namespaces needs the right to trace it, which root lacks for tasks of a parent user
//! namespace (a node that is itself a container has such an init). The files below `/proc/<pid>/net` need no right, and
//! their inode numbers are each network namespace's own (kernel `fs/proc/proc_net.c`), so a task that cannot be looked
//! at is told by comparing one of them with that of a task that can.
//!
//! A scan is no snapshot: a task that forks and ends while the scan passes can be missed once. Who acts on "nobody" asks
//! twice. Descriptors that keep a namespace without being in it (sockets, TAP queues, open nsfs files) are not tasks.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{Mode, fstatat};

use super::error::{NetnsError, OnPath, Result};
use super::handle::NetnsId;

/// The tasks of a procfs by network namespace.
#[derive(Debug, Default)]
pub struct InUse {
    tasks: HashMap<NetnsId, Vec<i32>>,
    unseen: usize,
    /// One task of each namespace, as a path below the procfs, to compare others with.
    examples: HashMap<NetnsId, String>,
    /// Tasks that may not be looked at, likewise.
    refused: Vec<(i32, String)>,
}

/// The answer for one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occupancy<'a> {
    /// These processes have a thread in it.
    Held(&'a [i32]),
    /// No task is in it.
    Free,
    /// None was seen in it, but so many tasks could not be looked at, or none was seen anywhere.
    Unknown(usize),
}

impl InUse {
    /// Who is in `id`. Never says [`Occupancy::Free`] when there were tasks that could not be looked at, nor when there
    /// were none at all: what was scanned is no procfs then, for it would have shown this very process or others.
    #[must_use]
    pub fn of(&self, id: NetnsId) -> Occupancy<'_> {
        match self.tasks.get(&id) {
            Some(pids) => Occupancy::Held(pids),
            None if self.unseen > 0 || self.tasks.is_empty() => Occupancy::Unknown(self.unseen),
            None => Occupancy::Free,
        }
    }

    /// How many tasks could neither be looked at (EACCES, EPERM: no CAP_SYS_PTRACE, or a security module) nor told by
    /// comparison.
    #[must_use]
    pub fn unseen(&self) -> usize {
        self.unseen
    }

    /// Every namespace that has tasks, with their processes.
    pub fn iter(&self) -> impl Iterator<Item = (NetnsId, &[i32])> {
        self.tasks.iter().map(|(id, pids)| (*id, pids.as_slice()))
    }

    fn add(
        &mut self,
        pid: i32,
        thread: i32,
        seen: std::result::Result<NetnsId, Errno>,
    ) -> std::result::Result<(), Errno> {
        let task = || format!("{pid}/task/{thread}");
        match seen {
            Ok(id) => self.found(pid, id, task),
            // Ended since the directory was read, or a zombie: holds no namespace.
            Err(Errno::ENOENT | Errno::ESRCH) => {}
            Err(Errno::EACCES | Errno::EPERM) => self.refused.push((pid, task())),
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    fn found(&mut self, pid: i32, id: NetnsId, task: impl FnOnce() -> String) {
        let pids = self.tasks.entry(id).or_insert_with(|| {
            self.examples.insert(id, task());
            Vec::new()
        });
        // All threads of a process follow one another: looking at the last is enough.
        if pids.last() != Some(&pid) {
            pids.push(pid);
        }
    }

    /// Tells the refused tasks by comparison. What is left over has been refused for good.
    fn compare(&mut self, root: &OwnedFd) {
        let refused = std::mem::take(&mut self.refused);
        if refused.is_empty() {
            return;
        }
        let number =
            |task: &str| fstatat(root, format!("{task}/net/dev").as_str(), AtFlags::empty()).map(|stat| stat.st_ino);
        let known: HashMap<u64, NetnsId> =
            self.examples.iter().filter_map(|(id, task)| Some((number(task).ok()?, *id))).collect();
        for (pid, task) in refused {
            match number(&task).map(|number| known.get(&number)) {
                Ok(Some(id)) => self.found(pid, *id, || task),
                Err(Errno::ENOENT | Errno::ESRCH | Errno::EINVAL) => {} // ended since
                Ok(None) | Err(_) => self.unseen += 1,
            }
        }
    }
}

/// Scans the procfs at `proc`: all processes that its PID namespace shows, all their threads.
///
/// Two system calls for a process with one thread, three and one per thread for others.
///
/// # Errors
/// [`NetnsError::Io`] if `proc` cannot be read at all. What single tasks refuse is counted, see [`InUse::unseen`].
pub fn in_use(proc: &Path) -> Result<InUse> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(proc, flags, Mode::empty()).on("open procfs", proc)?;
    let mut dir = Dir::open(proc, flags, Mode::empty()).on("open procfs", proc)?;
    let mut found = InUse::default();
    for entry in dir.iter() {
        let entry = entry.on("read procfs", proc)?;
        let Some(pid) = numeric(entry.file_name().to_bytes()) else {
            continue;
        };
        process(&root, pid, &mut found)
            .map_err(|errno| NetnsError::io("scan tasks of", &proc.join(pid.to_string()), errno))?;
    }
    found.compare(&root);
    Ok(found)
}

/// Whether two processes of a procfs are in one network namespace, told by their `/proc/<pid>/net` alone, which needs no
/// right over them. `None` where one is gone or shows none.
#[must_use]
pub fn same_network(proc: &Path, one: u32, other: u32) -> Option<bool> {
    let number = |pid: u32| fs::metadata(proc.join(format!("{pid}/net/dev"))).ok().map(|data| data.ino());
    Some(number(one)? == number(other)?)
}

/// The command name of a process, for reports. `None` when it is gone or cannot be read.
#[must_use]
pub fn comm(proc: &Path, pid: i32) -> Option<String> {
    let name = start_of(proc, pid, "comm")?;
    Some(String::from_utf8_lossy(&name).trim_end_matches('\n').to_owned())
}

/// The command line of a process, for reports, as far as its first 4 KiB go; none of a kernel thread, of one that is
/// gone or cannot be read. It is what the process says of itself.
#[must_use]
pub fn arguments(proc: &Path, pid: i32) -> Vec<String> {
    let line = start_of(proc, pid, "cmdline").unwrap_or_default();
    let line = line.strip_suffix(&[0]).unwrap_or(&line);
    if line.is_empty() {
        return Vec::new();
    }
    line.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// How much is read of a file that a process fills as it likes.
const MOST_OF_A_FILE: u64 = 4096;

fn start_of(proc: &Path, pid: i32, file: &str) -> Option<Vec<u8>> {
    let file = fs::File::open(proc.join(pid.to_string()).join(file)).ok()?;
    let mut bytes = Vec::new();
    file.take(MOST_OF_A_FILE).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn process(root: &OwnedFd, pid: i32, found: &mut InUse) -> std::result::Result<(), Errno> {
    let tasks = format!("{pid}/task");
    // The link count of the task directory is two and one per thread (proc_task_getattr of the kernel): it spares most
    // processes the reading of the directory.
    let threads = match fstatat(root, tasks.as_str(), AtFlags::empty()) {
        Ok(stat) => stat.st_nlink.saturating_sub(2),
        Err(errno) => return found.add(pid, pid, Err(errno)),
    };
    if threads == 1 {
        return found.add(pid, pid, netns_of(root.as_fd(), pid));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut dir = match Dir::openat(root, tasks.as_str(), flags, Mode::empty()) {
        Ok(dir) => dir,
        Err(errno) => return found.add(pid, pid, Err(errno)),
    };
    let threads: Vec<i32> = dir.iter().filter_map(|entry| numeric(entry.ok()?.file_name().to_bytes())).collect();
    for thread in threads {
        let seen = netns_of(dir.as_fd(), thread);
        found.add(pid, thread, seen)?;
    }
    Ok(())
}

fn netns_of(at: std::os::fd::BorrowedFd<'_>, task: i32) -> std::result::Result<NetnsId, Errno> {
    fstatat(at, format!("{task}/ns/net").as_str(), AtFlags::empty()).map(|stat| NetnsId::of(&stat))
}

fn numeric(name: &[u8]) -> Option<i32> {
    std::str::from_utf8(name).ok()?.parse().ok().filter(|&pid| pid > 0)
}

#[cfg(test)]
mod tests;
