//! System calls: what they are called, and the errors that each can give.

use nix::errno::Errno::{self, EACCES, EAGAIN, ECONNREFUSED, EINTR, EIO, EMFILE, ENOLCK, ENOMEM, ENOSPC, EPERM};
use nix::libc::{self, c_long};

use crate::tracer::{Call, Fault, Plan};

/// How a call can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fails {
    /// In one of these ways, without an effect.
    With(&'static [Errno]),
    /// In one of these ways, with its effect: a descriptor is closed whatever close(2) says.
    After(&'static [Errno]),
    /// For want of memory alone: the process may end itself then, as if it were killed.
    Starves,
    /// Never with these arguments, and nobody looks.
    Never,
}

const LOOK: Fails = Fails::With(&[EIO, ENOMEM, EACCES]);
const READ: Fails = Fails::With(&[EIO, EINTR]);
const WRITE: Fails = Fails::With(&[ENOSPC, EIO, EINTR]);
const CHANGE: Fails = Fails::With(&[EIO, ENOSPC, EPERM]);
const DESCRIPTOR: Fails = Fails::With(&[EMFILE, ENOMEM]);
const KERNEL: Fails = Fails::With(&[ENOMEM, EPERM]);
const WAIT: Fails = Fails::With(&[EINTR]);

/// Every call that berth has been seen to make.
#[rustfmt::skip]
const TABLE: &[(c_long, &str, Fails)] = &[
    (libc::SYS_open, "open", Fails::With(&[EIO, ENOSPC, EPERM, EINTR, EMFILE])),
    (libc::SYS_openat, "openat", Fails::With(&[EIO, ENOSPC, EPERM, EINTR, EMFILE])),
    (libc::SYS_read, "read", READ),
    (libc::SYS_readv, "readv", READ),
    (libc::SYS_pread64, "pread64", READ),
    (libc::SYS_getdents64, "getdents64", Fails::With(&[EIO, ENOMEM])),
    (libc::SYS_write, "write", WRITE),
    (libc::SYS_writev, "writev", WRITE),
    (libc::SYS_pwrite64, "pwrite64", WRITE),
    (libc::SYS_copy_file_range, "copy_file_range", Fails::With(&[EIO, ENOSPC])),
    (libc::SYS_sendfile, "sendfile", Fails::With(&[EIO, ENOSPC])),
    (libc::SYS_lseek, "lseek", Fails::With(&[EIO])),
    (libc::SYS_close, "close", Fails::After(&[EINTR])),
    (libc::SYS_stat, "stat", LOOK),
    (libc::SYS_lstat, "lstat", LOOK),
    (libc::SYS_fstat, "fstat", LOOK),
    (libc::SYS_newfstatat, "newfstatat", LOOK),
    (libc::SYS_statx, "statx", LOOK),
    (libc::SYS_statfs, "statfs", LOOK),
    (libc::SYS_fstatfs, "fstatfs", LOOK),
    (libc::SYS_access, "access", LOOK),
    (libc::SYS_faccessat, "faccessat", LOOK),
    (libc::SYS_faccessat2, "faccessat2", LOOK),
    (libc::SYS_readlink, "readlink", LOOK),
    (libc::SYS_readlinkat, "readlinkat", LOOK),
    (libc::SYS_getcwd, "getcwd", LOOK),
    (libc::SYS_fgetxattr, "fgetxattr", Fails::With(&[EIO, EPERM])),
    (libc::SYS_getxattr, "getxattr", Fails::With(&[EIO, EPERM])),
    (libc::SYS_lgetxattr, "lgetxattr", Fails::With(&[EIO, EPERM])),
    (libc::SYS_llistxattr, "llistxattr", Fails::With(&[EIO, EPERM])),
    (libc::SYS_flistxattr, "flistxattr", Fails::With(&[EIO, EPERM])),
    (libc::SYS_fsetxattr, "fsetxattr", CHANGE),
    (libc::SYS_lsetxattr, "lsetxattr", CHANGE),
    (libc::SYS_mkdir, "mkdir", CHANGE),
    (libc::SYS_rmdir, "rmdir", CHANGE),
    (libc::SYS_rename, "rename", CHANGE),
    (libc::SYS_renameat, "renameat", CHANGE),
    (libc::SYS_renameat2, "renameat2", CHANGE),
    (libc::SYS_link, "link", CHANGE),
    (libc::SYS_linkat, "linkat", CHANGE),
    (libc::SYS_symlink, "symlink", CHANGE),
    (libc::SYS_symlinkat, "symlinkat", CHANGE),
    (libc::SYS_unlink, "unlink", CHANGE),
    (libc::SYS_unlinkat, "unlinkat", CHANGE),
    (libc::SYS_chmod, "chmod", CHANGE),
    (libc::SYS_fchmod, "fchmod", CHANGE),
    (libc::SYS_fchown, "fchown", CHANGE),
    (libc::SYS_lchown, "lchown", CHANGE),
    (libc::SYS_fchownat, "fchownat", CHANGE),
    (libc::SYS_utimensat, "utimensat", CHANGE),
    (libc::SYS_ftruncate, "ftruncate", CHANGE),
    (libc::SYS_fallocate, "fallocate", CHANGE),
    (libc::SYS_fsync, "fsync", Fails::With(&[EIO, ENOSPC])),
    (libc::SYS_fdatasync, "fdatasync", Fails::With(&[EIO, ENOSPC])),
    (libc::SYS_syncfs, "syncfs", Fails::With(&[EIO, ENOSPC])),
    (libc::SYS_flock, "flock", Fails::With(&[ENOLCK, ENOMEM])),
    (libc::SYS_mount, "mount", Fails::With(&[ENOMEM, EPERM, ENOSPC])),
    (libc::SYS_umount2, "umount2", KERNEL),
    (libc::SYS_unshare, "unshare", Fails::With(&[ENOSPC, ENOMEM, EPERM])),
    (libc::SYS_setns, "setns", KERNEL),
    (libc::SYS_ioctl, "ioctl", Fails::With(&[EIO, EPERM])),
    (libc::SYS_socket, "socket", DESCRIPTOR),
    (libc::SYS_socketpair, "socketpair", DESCRIPTOR),
    (libc::SYS_connect, "connect", Fails::With(&[EACCES, ECONNREFUSED])),
    (libc::SYS_setsockopt, "setsockopt", Fails::With(&[ENOMEM])),
    (libc::SYS_getsockopt, "getsockopt", Fails::With(&[ENOMEM])),
    (libc::SYS_getsockname, "getsockname", Fails::With(&[ENOMEM])),
    (libc::SYS_shutdown, "shutdown", Fails::Never),
    (libc::SYS_sendto, "sendto", Fails::With(&[ENOMEM, EPERM])),
    (libc::SYS_sendmsg, "sendmsg", Fails::With(&[ENOMEM, EPERM])),
    (libc::SYS_recvfrom, "recvfrom", READ),
    (libc::SYS_recvmsg, "recvmsg", READ),
    (libc::SYS_epoll_create1, "epoll_create1", DESCRIPTOR),
    (libc::SYS_epoll_ctl, "epoll_ctl", Fails::With(&[ENOMEM, ENOSPC])),
    (libc::SYS_eventfd2, "eventfd2", DESCRIPTOR),
    (libc::SYS_pipe2, "pipe2", DESCRIPTOR),
    (libc::SYS_dup, "dup", DESCRIPTOR),
    (libc::SYS_fcntl, "fcntl", Fails::With(&[EMFILE])),
    (libc::SYS_inotify_init1, "inotify_init1", DESCRIPTOR),
    (libc::SYS_inotify_add_watch, "inotify_add_watch", Fails::With(&[ENOSPC, ENOMEM])),
    (libc::SYS_inotify_rm_watch, "inotify_rm_watch", Fails::Never),
    (libc::SYS_clone, "clone", Fails::With(&[EAGAIN])),
    (libc::SYS_clone3, "clone3", Fails::With(&[EAGAIN])),
    (libc::SYS_vfork, "vfork", Fails::With(&[EAGAIN, ENOMEM])),
    (libc::SYS_execve, "execve", Fails::With(&[EIO, ENOMEM, EPERM])),
    (libc::SYS_wait4, "wait4", WAIT),
    (libc::SYS_waitid, "waitid", WAIT),
    (libc::SYS_poll, "poll", WAIT),
    (libc::SYS_epoll_wait, "epoll_wait", WAIT),
    (libc::SYS_nanosleep, "nanosleep", WAIT),
    (libc::SYS_clock_nanosleep, "clock_nanosleep", WAIT),
    (libc::SYS_futex, "futex", WAIT),
    (libc::SYS_getrandom, "getrandom", WAIT),
    (libc::SYS_mmap, "mmap", Fails::Starves),
    (libc::SYS_mremap, "mremap", Fails::Starves),
    (libc::SYS_mprotect, "mprotect", Fails::Starves),
    (libc::SYS_brk, "brk", Fails::Starves),
    (libc::SYS_munmap, "munmap", Fails::Never),
    (libc::SYS_madvise, "madvise", Fails::Never),
    (libc::SYS_rt_sigaction, "rt_sigaction", Fails::Never),
    (libc::SYS_rt_sigprocmask, "rt_sigprocmask", Fails::Never),
    (libc::SYS_rt_sigreturn, "rt_sigreturn", Fails::Never),
    (libc::SYS_sigaltstack, "sigaltstack", Fails::Never),
    (libc::SYS_sched_getaffinity, "sched_getaffinity", Fails::Never),
    (libc::SYS_sched_yield, "sched_yield", Fails::Never),
    (libc::SYS_getpid, "getpid", Fails::Never),
    (libc::SYS_getppid, "getppid", Fails::Never),
    (libc::SYS_gettid, "gettid", Fails::Never),
    (libc::SYS_geteuid, "geteuid", Fails::Never),
    (libc::SYS_getuid, "getuid", Fails::Never),
    (libc::SYS_uname, "uname", Fails::Never),
    (libc::SYS_sysinfo, "sysinfo", Fails::Never),
    (libc::SYS_umask, "umask", Fails::Never),
    (libc::SYS_prctl, "prctl", Fails::Never),
    (libc::SYS_capget, "capget", Fails::Never),
    (libc::SYS_prlimit64, "prlimit64", Fails::Never),
    (libc::SYS_rseq, "rseq", Fails::Never),
    (libc::SYS_set_robust_list, "set_robust_list", Fails::Never),
    (libc::SYS_set_tid_address, "set_tid_address", Fails::Never),
    (libc::SYS_arch_prctl, "arch_prctl", Fails::Never),
    (libc::SYS_restart_syscall, "restart_syscall", Fails::Never),
    (libc::SYS_clock_gettime, "clock_gettime", Fails::Never),
    (libc::SYS_tgkill, "tgkill", Fails::Never),
    (libc::SYS_exit, "exit", Fails::Never),
    (libc::SYS_exit_group, "exit_group", Fails::Never),
];

/// Calls that cannot fail with this second argument: the end of a lock asks the kernel for no memory, of a descriptor
/// that is open its flags are known, and who wakes others waits for nothing that a signal could interrupt.
const IN_VAIN: [(c_long, u64); 3] = [
    (libc::SYS_flock, libc::LOCK_UN as u64),
    (libc::SYS_fcntl, libc::F_GETFD as u64),
    (libc::SYS_futex, (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG) as u64),
];

fn is_in_vain(call: Call) -> bool {
    IN_VAIN.contains(&(call.number, call.second))
}

fn entry(call: Call) -> &'static (c_long, &'static str, Fails) {
    let found = TABLE.iter().find(|(number, ..)| *number == call.number);
    found.unwrap_or_else(|| panic!("system call {call:?} is new here: say in the table how it can fail"))
}

/// What is done to which call.
pub(crate) fn said(plan: Plan) -> String {
    format!("call {} ({}), {:?}", plan.at, entry(plan.call).1, plan.fault)
}

/// Every way in which the call can fail.
pub(crate) fn failures(call: Call) -> Vec<Fault> {
    if is_in_vain(call) {
        return Vec::new();
    }
    match entry(call).2 {
        Fails::With(errnos) => errnos.iter().map(|&errno| Fault::Fail(errno)).collect(),
        Fails::After(errnos) => errnos.iter().map(|&errno| Fault::FailAfter(errno)).collect(),
        Fails::Starves => vec![Fault::Fail(ENOMEM)],
        Fails::Never => Vec::new(),
    }
}

/// Whether the two are the same call for all that a fault is to tell of.
pub(crate) fn alike(one: Call, other: Call) -> bool {
    one.number == other.number && changes(one) == changes(other) && is_in_vain(one) == is_in_vain(other)
}

/// Whether the call changes something that outlives the process, as far as its number and its arguments say.
pub(crate) fn changes(call: Call) -> bool {
    let creates = |flags: u64| flags & libc::O_CREAT as u64 != 0;
    match call.number {
        libc::SYS_open => creates(call.second),
        libc::SYS_openat => creates(call.third),
        libc::SYS_mount | libc::SYS_umount2 | libc::SYS_pwrite64 | libc::SYS_copy_file_range | libc::SYS_sendfile => {
            true
        }
        // Sockets, pipes and the log are written to as well.
        libc::SYS_write => true,
        _ => entry(call).2 == CHANGE,
    }
}

/// Whether a failure of the call may end the process at once, as a kill does.
pub(crate) fn starves(call: Call) -> bool {
    matches!(entry(call).2, Fails::Starves)
}
