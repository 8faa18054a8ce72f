//! A file's mode, owner and extended attributes, security context and access lists among them.

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

/// The attribute that carries a file's SELinux context.
pub(super) const CONTEXT: &str = "security.selinux";

/// The kernel's own limit for a list of names and for a value (xattr(7)).
const MAX: usize = 65_536;

/// Gives `to` the mode, owner, group and extended attributes of `from`.
pub(super) fn copy(from: &File, to: &File) -> io::Result<()> {
    let (wanted, has) = (from.metadata()?, to.metadata()?);
    if (has.uid(), has.gid()) != (wanted.uid(), wanted.gid()) {
        std::os::unix::fs::fchown(to, Some(wanted.uid()), Some(wanted.gid()))?;
    }
    for name in names(from)? {
        let value = get(from, &name)?;
        if value.is_some() && get(to, &name)? != value {
            fsetxattr(to, &*name, &value.unwrap_or_default(), XattrFlags::empty())?;
        }
    }
    // Last: a change of owner takes bits away (chown(2)).
    to.set_permissions(wanted.permissions())
}

/// The file's security context; `None` where it has none.
pub(super) fn context(file: &File) -> io::Result<Option<Vec<u8>>> {
    get(file, CONTEXT)
}

/// Gives the file a security context.
pub(super) fn set_context(file: &File, context: &[u8]) -> io::Result<()> {
    Ok(fsetxattr(file, CONTEXT, context, XattrFlags::empty())?)
}

fn names(file: &File) -> io::Result<Vec<String>> {
    let mut bytes = vec![0; MAX];
    let len = match flistxattr(file, &mut bytes) {
        Ok(len) => len,
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(errno) => return Err(errno.into()),
    };
    let names = bytes.get(..len).unwrap_or_default().split(|byte| *byte == 0);
    Ok(names.filter(|name| !name.is_empty()).map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

fn get(file: &File, name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; MAX];
    match fgetxattr(file, name, &mut bytes) {
        Ok(len) => {
            bytes.truncate(len);
            Ok(Some(bytes))
        }
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}
