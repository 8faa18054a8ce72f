//! The words for where a listener listens: `127.0.0.1:9464`, `[::]:9464`, `:9464`, `unix:/run/berth/http.sock`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// One address and port; port 0 is one that the kernel chooses.
    Tcp(SocketAddr),
    /// The port at every address.
    Port(u16),
    /// A socket file.
    Unix(PathBuf),
}

/// What is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an address like 127.0.0.1:9464, [::1]:9464, :9464 or unix:/run/berth/http.sock, got {0:?}")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            let named = path.is_absolute() && path.file_name().is_some();
            return if named { Ok(Self::Unix(path)) } else { Err(wrong()) };
        }
        match text.strip_prefix(':') {
            Some(port) => port.parse().map(Self::Port).map_err(|_| wrong()),
            None => text.parse().map(Self::Tcp).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Port(port) => write!(f, ":{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => IpAddr::is_loopback(&address.ip()),
            Self::Port(_) => false,
            Self::Unix(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_are_written() {
        for (text, local) in [
            ("127.0.0.1:9464", true),
            ("0.0.0.0:80", false),
            ("[::1]:9464", true),
            ("[::]:0", false),
            (":9464", false),
            ("unix:/run/berth/http.sock", true),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!((address.to_string().as_str(), address.is_local()), (text, local));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_examples() {
        for text in
            ["", "9464", "localhost:9464", "127.0.0.1", ":", ":70000", "unix:", "unix:run/x", "unix:/", "/run/x"]
        {
            let error = text.parse::<Address>().expect_err(text);
            assert!(error.to_string().contains("unix:/run/berth/http.sock, got"), "{error}");
        }
    }
}
