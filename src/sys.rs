//! The system calls that no library offers safely. THE ONLY file of the crate that may contain `unsafe`, and the only
//! one that may call `mount`, `umount2`, `setns` and `unshare`: for `netns`, for the socket that a runtime hands to the plugin it
//! starts, for becoming or starting another program, and for a filter of system calls. No policy here: each function is one call, typed, with its error number as it came.
#![allow(unsafe_code)]
#![allow(clippy::disallowed_methods)] // the ban elsewhere points here

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::CloneFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use seccompiler::sock_filter;

/// `_IO(0xb7, 0x3)` of linux/nsfs.h.
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// The path by which the kernel leads to exactly what `fd` is open on, whatever its name means by now (proc(5)).
///
/// `thread-self`, not `self`: the latter is the main thread, which may have ended or have descriptors of its own.
pub(crate) fn fd_path(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/thread-self/fd/{}", fd.as_raw_fd()))
}

/// What the kernel says about the open file behind `fd`, its mount above all.
pub(crate) fn fd_info_path(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/thread-self/fdinfo/{}", fd.as_raw_fd()))
}

/// The `CLONE_NEW*` flag of the namespace that `fd` is open on (ioctl_ns(2)).
///
/// Holds before: `fd` is an nsfs file; other file systems may give this number another meaning.
pub(crate) fn namespace_type(fd: BorrowedFd<'_>) -> Result<CloneFlags, Errno> {
    // SAFETY: NS_GET_NSTYPE takes no argument and writes no memory: the kernel returns the flag as the call's value.
    // `fd` is borrowed, so the number stays this open file's during the call. The result is checked below.
    let flag = unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) };
    Errno::result(flag).map(CloneFlags::from_bits_retain)
}

/// Binds the file or directory behind `from` onto the one behind `onto` (mount(2), MS_BIND).
///
/// Both are reached through their descriptors, so neither name can be swapped in between. ENOENT: `onto` was unlinked.
pub(crate) fn bind(from: BorrowedFd<'_>, onto: BorrowedFd<'_>, with: Submounts) -> Result<(), Errno> {
    let flags = match with {
        Submounts::Leave => MsFlags::MS_BIND,
        Submounts::Take => MsFlags::MS_BIND | MsFlags::MS_REC,
    };
    mount(Some(&fd_path(from)), &fd_path(onto), None::<&str>, flags, None::<&str>)
}

/// What a bind mount does with the mounts below its source.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Submounts {
    /// They stay where they are.
    Leave,
    /// They are copied along.
    Take,
}

/// Makes the mount behind `dir` and those below it shared (mount_namespaces(7)). EINVAL: `dir` is no mount's root.
pub(crate) fn make_shared(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    mount(None::<&str>, &fd_path(dir), None::<&str>, MsFlags::MS_SHARED | MsFlags::MS_REC, None::<&str>)
}

/// Detaches the one mount that `root` was opened on (umount2(2), MNT_DETACH).
///
/// The magic link leads to that very mount, not to what its mount point shows by now; UMOUNT_NOFOLLOW would stop at the
/// link and has nothing to protect here. EINVAL: it is detached already, or belongs to another mount namespace.
pub(crate) fn detach(root: BorrowedFd<'_>) -> Result<(), Errno> {
    umount2(&fd_path(root), MntFlags::MNT_DETACH)
}

/// The directory behind `dir` as it is in the mount that `above` was opened on, whatever is mounted over it there
/// (open_by_handle_at(2), which asks for the file and not for its name). EPERM: this process lacks CAP_DAC_READ_SEARCH;
/// EOPNOTSUPP, ESTALE: the file system does not know its files so, or the directory is not of it.
pub(crate) fn below(dir: BorrowedFd<'_>, above: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let head = libc::file_handle { handle_bytes: HANDLE_BYTES, handle_type: 0, f_handle: [] };
    let mut handle = Handle { head, _bytes: [0; HANDLE_BYTES as usize] };
    let (handle, mut mount) = ((&raw mut handle).cast::<libc::file_handle>(), 0);
    // SAFETY: the name is a C string; `handle` points to a whole `Handle`, that is to the head and as many bytes after it as
    // the head says may be written, and lives to the end of this function; `mount` is an int for the call to write.
    let named =
        unsafe { libc::name_to_handle_at(dir.as_raw_fd(), c"".as_ptr(), handle, &raw mut mount, libc::AT_EMPTY_PATH) };
    Errno::result(named)?;
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: `handle` is what the kernel has just filled in, and is only read.
    let opened = Errno::result(unsafe { libc::open_by_handle_at(above.as_raw_fd(), handle, flags) })?;
    // SAFETY: the call has just opened it for this process, and nobody else knows the number.
    Ok(unsafe { OwnedFd::from_raw_fd(opened) })
}

/// Room for the longest handle (MAX_HANDLE_SZ, linux/exportfs.h).
const HANDLE_BYTES: u32 = 128;

#[repr(C)]
struct Handle {
    head: libc::file_handle,
    _bytes: [u8; HANDLE_BYTES as usize],
}

/// Gives the calling thread, and only it, a copy of its mount namespace from which nothing propagates back
/// (mount_namespaces(7)). The thread must end afterwards and never return to a pool.
pub(crate) fn unshare_mounts() -> Result<(), Errno> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>)
}

/// Gives the calling thread, and only it, a copy of its mount namespace from which nothing propagates back, and into which
/// what others mount and unmount still does (mount_namespaces(7)): so it keeps nobody's file system in use.
///
/// The thread must end afterwards or become another program.
pub(crate) fn follow_mounts() -> Result<(), Errno> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)
}

/// Mounts a sysfs of the calling thread's network namespace over the directory behind `onto`; read-only if that is.
pub(crate) fn mount_sysfs(onto: BorrowedFd<'_>) -> Result<(), Errno> {
    let read_only = nix::sys::statvfs::fstatvfs(onto)?.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let flags = if read_only { flags | MsFlags::MS_RDONLY } else { flags };
    mount(Some("sysfs"), &fd_path(onto), Some("sysfs"), flags, None::<&str>)
}

/// Moves the calling thread, and only it, into the network namespace behind `fd` (setns(2)). EINVAL: it is none.
///
/// The thread must end afterwards or become another program, and never return to a pool.
pub(crate) fn enter_net(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    nix::sched::setns(fd, CloneFlags::CLONE_NEWNET)
}

/// Moves the calling process, which has one thread, into the mount namespace behind `fd` (setns(2)); its root and its
/// working directory are those of that namespace then. EINVAL: it is none, or there are other threads.
pub(crate) fn enter_mounts(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    nix::sched::setns(fd, CloneFlags::CLONE_NEWNS)
}

/// Moves the calling thread, and only it, into a new and empty network namespace (unshare(2)).
///
/// The thread must end afterwards and never return to a pool.
pub(crate) fn unshare_net() -> Result<(), Errno> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNET)
}

/// Brings up `lo` in the calling thread's network namespace (netdevice(7)).
pub(crate) fn loopback_up() -> Result<(), Errno> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let mut request = interface_request(b"lo");
    interface_ioctl(&socket, libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: the union's member `ifru_flags` is what SIOCGIFFLAGS has just filled in; all its bit patterns are valid.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | IFF_UP;
    interface_ioctl(&socket, libc::SIOCSIFFLAGS, &mut request)
}

/// `IFF_UP` in the width of `ifr_flags`.
const IFF_UP: libc::c_short = 1;

fn interface_request(name: &[u8; 2]) -> libc::ifreq {
    // SAFETY: `ifreq` is a C structure of integers, arrays and a union of such; all zeroes is a valid value of each.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(name) {
        *slot = libc::c_char::from_ne_bytes([*byte]);
    }
    request
}

fn interface_ioctl(socket: &OwnedFd, number: libc::c_ulong, request: &mut libc::ifreq) -> Result<(), Errno> {
    // The kernel's numbers fit; only the declared type differs between C libraries.
    let number = libc::Ioctl::try_from(number).map_err(|_| Errno::EINVAL)?;
    // SAFETY: both requests read the name and read or write the flags within one `ifreq`, which `request` exclusively
    // points to for the call; its name ends in a zero byte. The socket is borrowed, so its number stays this socket's.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), number, std::ptr::from_mut(request)) };
    Errno::result(done).map(drop)
}

/// Has the kernel ask `program` about every system call of all threads of this process, for good, and log what that refuses
/// (seccomp(2)).
///
/// Holds before: no_new_privs is set, or the thread has CAP_SYS_ADMIN. EINVAL: the kernel has no such filters. ESRCH: another thread
/// has a filter of its own.
pub(crate) fn filter_calls(program: &[sock_filter]) -> Result<(), Errno> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::E2BIG)?;
    let filter = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    let flags = libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_LOG;
    // SAFETY: the kernel copies `len` instructions from `filter` and writes nothing there; the slice that it points to is as
    // long and is borrowed for the call. Both crates' `sock_filter` are the kernel's (linux/filter.h), `repr(C)`.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter) };
    match Errno::result(done)? {
        0 => Ok(()),
        _thread => Err(Errno::ESRCH),
    }
}

/// Lets a broken pipe end the process again, as it did before the standard library's start-up ignored it: what a program
/// ignores stays ignored over execve(2), and the delegate must not see that berth was there.
pub(crate) fn restore_sigpipe() -> Result<(), Errno> {
    // SAFETY: signal(2) with SIG_DFL installs no function of ours that could be called at a bad moment.
    unsafe { nix::sys::signal::signal(nix::sys::signal::Signal::SIGPIPE, nix::sys::signal::SigHandler::SigDfl) }
        .map(drop)
}

/// Has `command` run below `root` (chroot(2)), in the directory that is `/` there. ENOTDIR and the like come when it is
/// started; EPERM: this process lacks CAP_SYS_CHROOT.
pub(crate) fn run_below(command: &mut Command, root: &Path) -> std::io::Result<()> {
    let root = CString::new(root.as_os_str().as_bytes())?;
    let enter = move || {
        nix::unistd::chroot(root.as_c_str())?;
        Ok(nix::unistd::chdir(c"/")?)
    };
    // SAFETY: between fork and exec only what is async-signal-safe may be done: two system calls with strings that were
    // made before, and a conversion of an error number; nothing allocates, locks or panics.
    unsafe { command.pre_exec(enter) };
    Ok(())
}

/// Whether the one descriptor a process inherits by number has been taken.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes the descriptor that this process was started with under `number`; once. `None` if it is not open, is one of
/// the three standard ones, or was taken already.
///
/// To be called before the process opens anything of its own, so that the number cannot mean something else.
#[must_use]
pub fn take_inherited(number: RawFd) -> Option<OwnedFd> {
    let open = std::path::Path::new("/proc/self/fd").join(number.to_string()).symlink_metadata().is_ok();
    if number < 3 || !open || TAKEN.swap(true, Ordering::SeqCst) {
        return None;
    }
    // SAFETY: from_raw_fd needs an open descriptor that nobody else owns. It is open (checked above; nothing closes it
    // in between, main has one thread then), it was not opened by this process (the caller's part), and the flag lets
    // only one call get here.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}
