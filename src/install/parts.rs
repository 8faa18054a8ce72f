//! The objects of an install on a host, as they are to be: program, names, plugin, berth's own configuration.

use super::InstallError;
use super::choose::Chosen;
use super::object::{Object, hash};
use super::record::{Record, Role};
use super::work::Content;
use crate::address::Address;
use crate::config::{Config, ConfigError, DEFAULT_PATH, Problem};
use crate::engine::{Host, Kind};
use crate::fsutil::FileError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where berth goes unless the operator says otherwise.
pub const BIN_DIR: &str = "/usr/local/bin";
/// Index and name of the plugin.
const PLUGIN: &str = "90-berth";
/// The first line of a configuration of berth's own making.
const OWN: &str =
    "# Written by berth install: what is behind names that do not say it. Yours from your first change on.\n";

/// Something that is to be at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Its path on the host; links in it are resolved.
    pub(super) path: PathBuf,
    /// What it is for.
    pub(super) role: Role,
    /// What is to be there.
    pub(super) content: Content,
    /// What is there now.
    pub(super) now: Object,
}

impl Part {
    /// Looks at what is at `path` now.
    ///
    /// # Errors
    /// It may not be looked at.
    pub(super) fn new(host: &Host, path: &Path, role: Role, content: Content) -> Result<Self, FileError> {
        let path = place(host, path)?;
        let now = Object::at(&outside(host, &path))?;
        Ok(Self { path, role, content, now })
    }

    /// What is at the path is still what it was when this was planned.
    ///
    /// # Errors
    /// Somebody has changed it meanwhile: what they wrote must not be lost.
    pub(super) fn check_unchanged(&self, host: &Host) -> Result<(), FileError> {
        let path = outside(host, &self.path);
        if Object::at(&path)? == self.now {
            return Ok(());
        }
        let changed = std::io::Error::other("somebody has changed it meanwhile; run this again");
        Err(FileError::new("replace", &path)(changed))
    }

    pub(super) fn is_needed(&self) -> bool {
        self.now != self.content.object()
    }
}

/// The program's own place below that of all programs: `/usr/local/lib/berth/<version>-<hash>/berth`.
fn program_path(dir: &Path, hash: &str) -> PathBuf {
    let version = format!("{}-{}", crate::VERSION, hash.get(..8).unwrap_or_default());
    dir.join(version).join("berth")
}

/// How a link in the directory of names says where the program is: below that directory, or beside it.
fn target(bin_dir: &Path, program: &Path) -> PathBuf {
    if let Ok(below) = program.strip_prefix(bin_dir) {
        return below.to_owned();
    }
    Path::new("..").join(program.strip_prefix(bin_dir.parent().unwrap_or(Path::new("/"))).unwrap_or(program))
}

/// Program and names; `dir` is where programs go, by [`super::place::programs`].
///
/// # Errors
/// Something else is where a name should be.
pub(super) fn programs(
    host: &Host,
    bin_dir: &Path,
    dir: &Path,
    bytes: Vec<u8>,
    context: Option<Vec<u8>>,
    chosen: &[Chosen],
) -> Result<Vec<Part>, InstallError> {
    let hash = hash(&bytes);
    let program = program_path(dir, &hash);
    let target = target(bin_dir, &program);
    let mut parts = vec![
        Part::new(host, &program, Role::Program, Content::Program { bytes, hash, context })?,
        Part::new(host, &bin_dir.join("berth"), Role::Name, Content::Link(target))?,
    ];
    let names: std::collections::BTreeSet<_> = chosen.iter().map(|chosen| chosen.name.as_str()).collect();
    for name in names {
        let part = Part::new(host, &bin_dir.join(name), Role::Name, Content::Link("berth".into()))?;
        if let Some(what) = other_than_absent(&part) {
            return Err(InstallError::InTheWay { path: part.path, what });
        }
        parts.push(part);
    }
    let berth = parts.iter().find(|part| part.now == Object::Directory || part.now == Object::Other);
    match berth {
        Some(part) => Err(InstallError::InTheWay { path: part.path.clone(), what: "not a file" }),
        None => Ok(parts),
    }
}

fn other_than_absent(part: &Part) -> Option<&'static str> {
    match &part.now {
        Object::Absent => None,
        Object::Link(_) if !part.is_needed() => None,
        Object::Link(_) => Some("a link to something else"),
        _ => Some("no link"),
    }
}

/// The plugin that the engine starts: a link, so that it is exchanged with berth.
///
/// # Errors
/// It may not be looked at.
pub(super) fn plugin(host: &Host, dir: &Path, bin_dir: &Path) -> Result<Part, FileError> {
    Part::new(host, &dir.join(PLUGIN), Role::Plugin, Content::Link(bin_dir.join("berth")))
}

/// A configuration that the operator has brought.
#[derive(Debug, Clone, Copy)]
pub(super) struct Brought<'a> {
    /// A file of this process's.
    pub(super) file: &'a Path,
    /// The plugin that reads it will be asked how it is.
    pub(super) asked: bool,
}

/// Interposers that need an entry in berth's configuration, with the handlers that each is for.
type Needed<'a> = BTreeMap<&'a str, Vec<&'a Chosen>>;

/// berth's own configuration: what the operator has `brought`, or what names alone do not say. A file that is there and
/// that no install has put is the operator's, and stays.
///
/// # Errors
/// What was brought or is there does not say what is behind a name, or is broken; something else is in its place.
pub(super) fn settings(
    host: &Host,
    kind: Kind,
    chosen: &[Chosen],
    record: Option<&Record>,
    brought: Option<Brought<'_>>,
) -> Result<Option<Part>, InstallError> {
    let mut needed = Needed::new();
    for chosen in chosen.iter().filter(|chosen| chosen.needs_entry) {
        needed.entry(chosen.name.as_str()).or_default().push(chosen);
    }
    let path = Path::new(DEFAULT_PATH);
    let ours =
        |part: &Part| record.and_then(|record| record.item(&part.path)).is_some_and(|item| item.is_ours(&part.now));
    if let Some(Brought { file, asked }) = brought {
        let config = Config::load(Some(file))?;
        if asked {
            check_listen(&config, file)?;
        }
        check_entries(&config, file, kind, &needed)?;
        let part = Part::new(host, path, Role::Settings, Content::Text(config.text.into_owned().into_bytes()))?;
        let free = part.now == Object::Absent || !part.is_needed() || ours(&part);
        let in_the_way = InstallError::InTheWay { path: part.path.clone(), what: "another configuration" };
        return if free { Ok(Some(part)) } else { Err(in_the_way) };
    }
    if needed.is_empty() {
        return Ok(None);
    }
    let entries = needed.iter().map(|(name, of)| entry(kind, name, of));
    let whole = entries.fold(format!("{OWN}interposers:\n"), |text, entry| text + &entry);
    let part = Part::new(host, path, Role::Settings, Content::Text(whole.into_bytes()))?;
    match host.read(path)? {
        Some(text) if !(ours(&part) && text.starts_with(OWN)) => {
            check_entries(&Config::parse(&text, DEFAULT_PATH)?, path, kind, &needed).map(|()| None)
        }
        _ => Ok(Some(part)),
    }
}

/// The plugin listens where an install that stays can ask it. A port could be its own, and would be: it is the usual one.
fn check_listen(config: &Config, path: &Path) -> Result<(), ConfigError> {
    let Some(address) = config.listen.as_ref().filter(|address| !matches!(address, Address::Unix(_))) else {
        return Ok(());
    };
    let message = format!(
        "{address} is a port, where the installer itself may listen; the plugin is asked at a socket: \
         unix:/run/berth/http.sock"
    );
    Err(ConfigError::Invalid {
        path: path.display().to_string(),
        problems: vec![Problem { path: "listen".to_owned(), message, line: None }],
    })
}

/// A configuration of the operator's says what is behind every name that does not say it.
fn check_entries(config: &Config, path: &Path, kind: Kind, needed: &Needed<'_>) -> Result<(), InstallError> {
    for (name, of) in needed {
        let delegate = config.interposers.get(*name).and_then(|entry| entry.delegate.as_deref());
        if of.iter().any(|chosen| delegate != Some(&chosen.delegate)) {
            let entry = format!("interposers:\n{}", entry(kind, name, of));
            return Err(InstallError::NeedsEntry { path: path.to_owned(), name: (*name).to_owned(), entry });
        }
    }
    Ok(())
}

fn entry(kind: Kind, name: &str, of: &[&Chosen]) -> String {
    let delegate = of.iter().take(1).map(|chosen| format!("    delegate: {}\n", chosen.delegate.display()));
    // Of several handlers it could be any.
    let handler = of.iter().filter(|_| of.len() == 1).map(|chosen| format!("    handler: {}\n", chosen.wrap.new));
    std::iter::once(format!("  {name}:\n    engine: {kind}\n")).chain(delegate).chain(handler).collect()
}

/// The directories that are missing above these parts, uppermost first.
///
/// # Errors
/// One may not be looked at.
pub(super) fn directories(host: &Host, parts: &[Part]) -> Result<Vec<Part>, FileError> {
    let mut found: Vec<Part> = Vec::new();
    for part in parts.iter().filter(|part| part.is_needed() && part.content != Content::Absent) {
        let mut missing = Vec::new();
        for dir in part.path.ancestors().skip(1) {
            if found.iter().any(|known| known.path == dir) {
                break;
            }
            let part = Part::new(host, dir, Role::Directory, Content::Directory)?;
            if !part.is_needed() {
                break;
            }
            missing.push(part);
        }
        found.extend(missing.into_iter().rev());
    }
    Ok(found)
}

/// The host's own path of an object: links are followed above it, and not where it is one itself.
pub(super) fn place(host: &Host, path: &Path) -> Result<PathBuf, FileError> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path.to_owned()) };
    Ok(host.resolve(dir).map_err(FileError::new("look at", path))?.join(name))
}

/// Where a path of the host is seen from here; the links of its directory are the host's, and lead nowhere else.
pub(super) fn outside(host: &Host, path: &Path) -> PathBuf {
    // A directory that cannot be resolved cannot be used either; whoever tries says why.
    let place = place(host, path).unwrap_or_else(|_| path.to_owned());
    host.root().join(place.strip_prefix("/").unwrap_or(&place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_has_a_directory_of_its_version_beside_the_names_or_below() {
        let names = Path::new("/opt/bin");
        for (dir, link) in [("/opt/lib/berth", "../lib/berth"), ("/opt/bin/berth.d", "berth.d")] {
            let path = program_path(Path::new(dir), "ba7816bf8f01");
            let version = format!("{}-ba7816bf", crate::VERSION);
            assert_eq!(path, Path::new(&format!("{dir}/{version}/berth")));
            assert_eq!(target(names, &path), Path::new(&format!("{link}/{version}/berth")));
        }
    }
}
