//! Binding: a TCP address, or a socket file of which a dead process may have left one.

use super::serve::Stream;
use crate::address::Address;
use nix::sys::stat::{Mode, fchmod};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener, UnixSocket};

/// How many connections the kernel keeps that nobody has taken yet.
const BACKLOG: u32 = 64;

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error("listen at {0}: another process does already; end it, or choose another address")]
    InUse(Address),
    /// A file that is no socket is in its place. It was not touched.
    #[error("listen at {0}: a file that is no socket is there; remove it, or choose another path")]
    NotASocket(Address),
    /// Another reason.
    #[error("listen at {address}: {step}; choose another address, or leave `listen` out")]
    Io {
        /// Where.
        address: Address,
        /// What was being done.
        step: &'static str,
        /// Why it did not work.
        source: io::Error,
    },
}

impl BindError {
    /// Whether it is another process's.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::InUse(_))
    }
}

/// A bound address. A socket file goes when this value does, if it is still the one that was made.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A file and its device and inode.
#[derive(Debug)]
struct SocketFile(PathBuf, Option<(u64, u64)>);

impl SocketFile {
    fn at(path: &Path) -> Self {
        Self(path.to_owned(), id(path))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.1.is_some() && id(&self.0) == self.1 {
            // There is nobody left to tell, and the next listener replaces it.
            std::fs::remove_file(&self.0).unwrap_or_default();
        }
    }
}

fn id(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|data| (data.dev(), data.ino()))
}

impl Listener {
    /// Listens at `address`, within an event loop. A socket file has mode 0600 from the first moment; one that a process
    /// has left that is dead by now is replaced.
    ///
    /// # Errors
    /// The address is another's, or cannot be had.
    pub fn bind(address: &Address) -> Result<Self, BindError> {
        let failed = |step| {
            move |source: io::Error| match source.kind() {
                io::ErrorKind::AddrInUse => BindError::InUse(address.clone()),
                _ => BindError::Io { address: address.clone(), step, source },
            }
        };
        let tcp = |at| tcp(at).map(Socket::Tcp).map_err(failed("bind"));
        let mut file = None;
        let socket = match address {
            Address::Tcp(at) => tcp(*at)?,
            // Where there is no IPv6 the socket is not to be had at all.
            Address::Port(port) => {
                tcp((Ipv6Addr::UNSPECIFIED, *port).into()).or_else(|error| match error.is_in_use() {
                    true => Err(error),
                    false => tcp((Ipv4Addr::UNSPECIFIED, *port).into()),
                })?
            }
            Address::Unix(path) => {
                clear(path, address)?;
                let listener = unix(path).map_err(failed("bind the socket file"))?;
                file = Some(SocketFile::at(path));
                Socket::Unix(listener)
            }
        };
        Ok(Self { address: actual(&socket).unwrap_or_else(|| address.clone()), socket, _file: file })
    }

    /// Where it listens; with the port that the kernel has chosen.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.socket {
            Socket::Tcp(listener) => Box::new(listener.accept().await?.0),
            Socket::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

fn actual(socket: &Socket) -> Option<Address> {
    match socket {
        Socket::Tcp(listener) => listener.local_addr().ok().map(Address::Tcp),
        Socket::Unix(_) => None,
    }
}

fn tcp(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    // Else the port of one that has just ended is not to be had for a minute.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}

/// The mode is the socket's before it has a name: bind(2) makes the file with it (`unix_bind_bsd` of net/unix/af_unix.c).
fn unix(path: &Path) -> io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(path)?;
    socket.listen(BACKLOG)
}

/// Removes the socket file of a process that is dead: nobody answers behind it.
fn clear(path: &Path, address: &Address) -> Result<(), BindError> {
    let failed = |step| move |source| BindError::Io { address: address.clone(), step, source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at what is there")(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(BindError::NotASocket(address.clone())),
        Ok(_) => {}
    }
    match connect(path) {
        Err(nix::errno::Errno::ECONNREFUSED) => {
            std::fs::remove_file(path).map_err(failed("remove a dead process's socket"))
        }
        // One that is too busy to answer is alive.
        _ => Err(BindError::InUse(address.clone())),
    }
}

/// Whether somebody is behind a socket file; does not wait for one that is busy.
fn connect(path: &Path) -> nix::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
    use std::os::fd::AsRawFd;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)
}
