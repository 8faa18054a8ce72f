//! The system calls that the daemon makes. `tests/confined.rs` watches it through its life, and wants this to be what it sees.

use crate::apply::PinsBy;
use nix::libc;
use std::ffi::c_long;

/// A library through which system calls are made; each has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Libc {
    /// Of the released binary.
    Musl,
    /// Of the binary that is tested while berth is written, and of distributions.
    Gnu,
}

impl Libc {
    /// What this binary was built with.
    pub const OWN: Self = if cfg!(target_env = "musl") { Self::Musl } else { Self::Gnu };
}

/// A call that is allowed.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    constant: &'static str,
    /// Its number for this processor.
    pub(super) number: c_long,
    /// With which arguments.
    pub(super) only: Only,
}

impl Call {
    /// Its name, as in the manual.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.constant.trim_start_matches("SYS_")
    }
}

/// With which arguments a call is allowed. Arguments are counted from 0; what a pointer leads to cannot be asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Only {
    /// Any.
    Any,
    /// The argument is one of these.
    Among(u8, &'static [u64]),
    /// The argument has these bits.
    With(u8, u64),
}

macro_rules! calls {
    ($($number:ident),* $(,)?) => {
        &[$(call(stringify!($number), libc::$number, Only::Any)),*]
    };
}

const fn call(constant: &'static str, number: c_long, only: Only) -> Call {
    Call { constant, number, only }
}

/// What may be called by a daemon that was built with this library and runs like this.
#[must_use]
pub fn allowed(libc: Libc, pins_by: PinsBy) -> Vec<Call> {
    let own = match libc {
        Libc::Musl => MUSL,
        Libc::Gnu => GNU,
    };
    let pins = match pins_by {
        PinsBy::Daemon => PINS,
        PinsBy::Interposers => &[],
    };
    [BOTH, PROCESSOR, LIMITED, own, pins, RARE].concat()
}

/// By whatever library.
const BOTH: &[Call] = calls![
    SYS_accept4,
    SYS_bind,
    SYS_close,
    SYS_connect,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_eventfd2,
    SYS_exit,
    SYS_exit_group,
    SYS_fchmod,
    SYS_fcntl,
    SYS_flock,
    SYS_fstatfs,
    SYS_futex,
    SYS_getdents64,
    SYS_geteuid,
    SYS_getpid,
    SYS_getrandom,
    SYS_getsockname,
    SYS_getsockopt,
    SYS_gettid,
    SYS_inotify_add_watch,
    SYS_inotify_init1,
    SYS_inotify_rm_watch,
    SYS_listen,
    SYS_mmap,
    SYS_mprotect,
    SYS_munmap,
    SYS_newfstatat,
    SYS_openat,
    SYS_read,
    SYS_recvfrom,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sendto,
    SYS_setsockopt,
    SYS_shutdown,
    SYS_sigaltstack,
    SYS_socketpair,
    SYS_write,
    SYS_writev,
];

/// Where the processor has calls from before there were those that take a directory.
#[cfg(target_arch = "x86_64")]
const PROCESSOR: &[Call] = calls![SYS_chmod, SYS_mkdir, SYS_readlink, SYS_rename, SYS_renameat, SYS_unlink];
#[cfg(target_arch = "aarch64")]
const PROCESSOR: &[Call] = &[
    call("SYS_fchmodat", libc::SYS_fchmodat, Only::Any),
    call("SYS_mkdirat", libc::SYS_mkdirat, Only::Any),
    call("SYS_readlinkat", libc::SYS_readlinkat, Only::Any),
    // The crate has no name for it beside glibc.
    call("SYS_renameat", 38, Only::Any),
    call("SYS_unlinkat", libc::SYS_unlinkat, Only::Any),
];

/// By whatever library, and only like this.
const LIMITED: &[Call] = &[
    // Threads, and no other process.
    call("SYS_clone", libc::SYS_clone, Only::With(0, THREAD)),
    // What type of namespace it is; a socket that was inherited shall not wait.
    call("SYS_ioctl", libc::SYS_ioctl, Only::Among(1, &[NS_GET_NSTYPE, FIONBIO])),
    // What a thread is called.
    call("SYS_prctl", libc::SYS_prctl, Only::Among(0, &[SET_NAME])),
    // To the runtime, and from whoever asks for health and metrics.
    call("SYS_socket", libc::SYS_socket, Only::Among(0, &[UNIX, INET, INET6])),
];

#[cfg(target_arch = "x86_64")]
const MUSL: &[Call] = calls![SYS_brk, SYS_epoll_pwait, SYS_fstat, SYS_lstat, SYS_open, SYS_stat];
#[cfg(target_arch = "aarch64")]
const MUSL: &[Call] = calls![SYS_brk, SYS_epoll_pwait, SYS_fstat];

#[cfg(target_arch = "x86_64")]
const GNU: &[Call] =
    calls![SYS_epoll_wait, SYS_madvise, SYS_rseq, SYS_sched_getaffinity, SYS_set_robust_list, SYS_statx];
#[cfg(target_arch = "aarch64")]
const GNU: &[Call] =
    calls![SYS_epoll_pwait, SYS_madvise, SYS_rseq, SYS_sched_getaffinity, SYS_set_robust_list, SYS_statx];

/// Where the daemon makes the pins.
const PINS: &[Call] = &[
    // Between two tries for a lock.
    call("SYS_clock_nanosleep", libc::SYS_clock_nanosleep, Only::Any),
    // What a process that was killed while it shared the netns directory has noted.
    call("SYS_ftruncate", libc::SYS_ftruncate, Only::Any),
    // A second look at the tasks.
    call("SYS_lseek", libc::SYS_lseek, Only::Any),
    // Binds, and how mounts propagate. No file system is mounted; no mount is changed otherwise or moved.
    call("SYS_mount", libc::SYS_mount, Only::Among(3, &[BIND, BIND | REC, SHARED | REC, PRIVATE | REC])),
    call("SYS_umount2", libc::SYS_umount2, Only::Among(1, &[DETACH])),
    call("SYS_unlinkat", libc::SYS_unlinkat, Only::Any),
    // A copy of the mount namespace.
    call("SYS_unshare", libc::SYS_unshare, Only::Among(0, &[NEWNS])),
];

/// What no test brings about, and each why it is allowed all the same.
pub const RARE: &[Call] = &[
    // The memory grows, or a large piece of it does: by another way in each library.
    call("SYS_brk", libc::SYS_brk, Only::Any),
    call("SYS_madvise", libc::SYS_madvise, Only::Any),
    call("SYS_mremap", libc::SYS_mremap, Only::Any),
    // The time, where the clock of the machine cannot be read without the kernel (vdso(7)).
    call("SYS_clock_gettime", libc::SYS_clock_gettime, Only::Any),
    // What was interrupted by SIGSTOP goes on; the kernel has it called.
    call("SYS_restart_syscall", libc::SYS_restart_syscall, Only::Any),
    // A lock that is free in a moment is waited for without sleeping.
    call("SYS_sched_yield", libc::SYS_sched_yield, Only::Any),
    // Its own end by abort(3), so that the signal says so.
    call("SYS_tgkill", libc::SYS_tgkill, Only::Among(2, &[ABORT])),
    call("SYS_tkill", libc::SYS_tkill, Only::Among(1, &[ABORT])),
    // Other releases of glibc than the tested one.
    call("SYS_fstat", libc::SYS_fstat, Only::Any),
];

/// What is asked for and refused on purpose, because the kernel cannot look at its arguments: the library takes clone(2) then.
pub const REFUSED: &[&str] = &["clone3"];

// The kernel's numbers, in the width in which it compares arguments.
const ABORT: u64 = libc::SIGABRT.cast_unsigned() as u64;
const BIND: u64 = libc::MS_BIND;
const DETACH: u64 = libc::MNT_DETACH.cast_unsigned() as u64;
const FIONBIO: u64 = 0x5421;
const INET: u64 = libc::AF_INET.cast_unsigned() as u64;
const INET6: u64 = libc::AF_INET6.cast_unsigned() as u64;
const NEWNS: u64 = libc::CLONE_NEWNS.cast_unsigned() as u64;
const NS_GET_NSTYPE: u64 = 0xb703;
const PRIVATE: u64 = libc::MS_PRIVATE;
const REC: u64 = libc::MS_REC;
const SET_NAME: u64 = libc::PR_SET_NAME.cast_unsigned() as u64;
const SHARED: u64 = libc::MS_SHARED;
const THREAD: u64 = libc::CLONE_THREAD.cast_unsigned() as u64;
const UNIX: u64 = libc::AF_UNIX.cast_unsigned() as u64;
