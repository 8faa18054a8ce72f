//! What an install would do. Reads, and changes nothing.

use super::choose::{Asked, Chosen, candidates, choose};
use super::label::{self, Label};
use super::object::Object;
use super::parts::{self, Brought, Part};
use super::record::{Record, Role};
use super::site::{self, Site};
use super::work::Content;
use super::{InstallError, own, place, versions};
use crate::engine::edit::{self, Change, Stanza, Wrap};
use crate::engine::{Host, Kind};
use crate::fsutil::FileError;
use std::path::{Path, PathBuf};

/// The first containerd with an NRI that berth speaks.
const NRI_SINCE: (u64, u64, u64) = (1, 7, 0);

/// What an operator has asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Handlers to wrap, beside those that are wrapped already.
    pub handlers: Vec<Asked>,
    /// The plugin that the engine starts.
    pub plugin: bool,
    /// Where berth goes.
    pub bin_dir: Option<PathBuf>,
    /// A file of this process's, not the host's, that is to be berth's configuration there.
    pub config: Option<PathBuf>,
    /// Who installs stays, and asks the plugin how it is.
    pub stays: bool,
}

impl Wanted {
    fn brought(&self) -> Option<Brought<'_>> {
        self.config.as_deref().map(|file| Brought { file, asked: self.stays })
    }
}

/// What would be done.
#[derive(Debug)]
pub(super) struct Plan {
    /// Every handler that will be wrapped.
    pub(super) chosen: Vec<Chosen>,
    /// Handlers that could be, if none is.
    pub(super) candidates: Vec<String>,
    /// Everything that has to change, in order: directories, program, names, own configuration, plugin, and the engine's
    /// configuration last.
    pub(super) parts: Vec<Part>,
    /// Programs of earlier installs that nothing will use, and their directories.
    pub(super) stale: Vec<Part>,
    /// The same of the engine's configuration, for reading.
    pub(super) changes: Vec<Change>,
    /// Where berth goes.
    pub(super) bin_dir: PathBuf,
    /// How the program is labelled.
    pub(super) label: Label,
}

impl Plan {
    pub(super) fn wraps(&self) -> Vec<Wrap> {
        wraps(&self.chosen)
    }

    /// Something changes that the engine reads at its start only.
    pub(super) fn concerns_engine(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.role, Role::Configuration | Role::Plugin))
    }
}

/// What an operator would put where, on a distribution that writes its engine's configuration itself.
#[derive(Debug)]
pub(super) struct ByHand {
    pub(super) chosen: Vec<Chosen>,
    pub(super) candidates: Vec<String>,
    pub(super) stanza: Option<Stanza>,
    pub(super) bin_dir: PathBuf,
}

/// Plans an install of this program.
///
/// # Errors
/// What stands in the way; see [`InstallError`].
pub(super) fn plan(host: &Host, site: &Site, wanted: &Wanted, record: Option<&Record>) -> Result<Plan, InstallError> {
    check_record(site, wanted, record)?;
    let bin_dir = bin_dir(wanted, record);
    let programs = place::programs(host, &bin_dir)?;
    let chosen = chosen(host, site, &wanted.handlers, &bin_dir, record)?;
    let bytes = program()?;
    let label = label::of(host, site, chosen.first().map(|chosen| chosen.delegate.as_path()));
    let mut parts = parts::programs(host, &bin_dir, &programs, bytes, label.context(), &chosen)?;
    parts.extend(parts::settings(host, site.engine.kind, &chosen, record, wanted.brought())?);
    if wanted.plugin {
        check_nri(site)?;
        parts.push(parts::plugin(host, &site.effective.nri.plugins, &bin_dir)?);
    }
    let changes = if chosen.is_empty() { Vec::new() } else { edit::changes(&site.input, &wraps(&chosen))? };
    let changes: Vec<_> = changes.into_iter().filter(Change::is_needed).collect();
    if let Some(record) = record.filter(|_| !changes.is_empty()) {
        own::check(&site.input, record)?;
    }
    for change in &changes {
        parts.push(configuration(host, change)?);
    }
    let mut all = parts::directories(host, &parts)?;
    all.extend(parts.into_iter().filter(Part::is_needed));
    let stale = record.map(|record| stale(host, site, record, &bin_dir, &all)).transpose()?.unwrap_or_default();
    let own = edit::owned(&site.input)?;
    Ok(Plan { chosen, candidates: candidates(&site.effective, &own), parts: all, stale, changes, bin_dir, label })
}

/// Plans berth's own configuration alone, for the handlers that are installed: it, if it has to change, behind the
/// directories that it needs.
///
/// # Errors
/// As [`plan`].
pub(super) fn settings(host: &Host, site: &Site, wanted: &Wanted, record: &Record) -> Result<Vec<Part>, InstallError> {
    let chosen = chosen(host, site, &[], &record.bin_dir, Some(record))?;
    let part = parts::settings(host, site.engine.kind, &chosen, Some(record), wanted.brought())?;
    let part: Vec<_> = part.into_iter().filter(Part::is_needed).collect();
    Ok([parts::directories(host, &part)?, part].concat())
}

/// Plans what is to be done by hand.
///
/// # Errors
/// As [`plan`].
pub(super) fn by_hand(host: &Host, site: &Site, wanted: &Wanted) -> Result<ByHand, InstallError> {
    let bin_dir = bin_dir(wanted, None);
    let chosen = chosen(host, site, &wanted.handlers, &bin_dir, None)?;
    let stanza =
        if chosen.is_empty() { None } else { edit::stanza(site.engine.distribution, &site.input, &wraps(&chosen))? };
    Ok(ByHand { chosen, candidates: candidates(&site.effective, &[]), stanza, bin_dir })
}

fn check_record(site: &Site, wanted: &Wanted, record: Option<&Record>) -> Result<(), InstallError> {
    let Some(record) = record else { return Ok(()) };
    site::check_engine(&site.engine, record)?;
    match &wanted.bin_dir {
        Some(dir) if *dir != record.bin_dir => Err(InstallError::OtherBinDir(record.bin_dir.clone())),
        _ => Ok(()),
    }
}

/// The engine would start a plugin.
fn check_nri(site: &Site) -> Result<(), InstallError> {
    let engine = &site.engine;
    let todo = match engine.kind {
        Kind::Containerd if site.input.version < NRI_SINCE => {
            "containerd has it from 1.7 on; handlers can be wrapped all the same"
        }
        _ if site.effective.nri.enabled => return Ok(()),
        Kind::Containerd => "set disable = false in [plugins.'io.containerd.nri.v1.nri']",
        Kind::CriO => "set enable_nri = true in [crio.nri]",
    };
    Err(InstallError::NoNri { engine: engine.kind.as_str(), config: engine.config.clone(), todo })
}

fn bin_dir(wanted: &Wanted, record: Option<&Record>) -> PathBuf {
    let recorded = || record.map_or_else(|| parts::BIN_DIR.into(), |record| record.bin_dir.clone());
    wanted.bin_dir.clone().unwrap_or_else(recorded)
}

/// What was asked for now, and before.
fn chosen(
    host: &Host,
    site: &Site,
    now: &[Asked],
    bin_dir: &Path,
    record: Option<&Record>,
) -> Result<Vec<Chosen>, InstallError> {
    let earlier = record.iter().flat_map(|record| &record.handlers);
    let earlier = earlier.map(|handler| Asked { handler: handler.wraps.clone(), new: handler.name.clone() });
    let mut asked: Vec<_> = earlier.filter(|earlier| now.iter().all(|now| now.new != earlier.new)).collect();
    asked.extend(now.iter().cloned());
    choose(host, &site.engine, &site.effective, &asked, bin_dir)
}

/// What will not be used when `parts` are in place.
fn stale(host: &Host, site: &Site, record: &Record, bin_dir: &Path, parts: &[Part]) -> Result<Vec<Part>, InstallError> {
    let berth = parts::place(host, &bin_dir.join("berth"))?;
    let renewed = parts.iter().find(|part| part.path == berth);
    // Where the name leads when this is done.
    let target = match renewed.map(|part| part.content.object()) {
        Some(Object::Link(target)) => target,
        _ => std::fs::read_link(parts::outside(host, &berth)).unwrap_or_default(),
    };
    let current = parts::place(host, &berth.with_file_name(target))?;
    let renewed: Vec<_> = parts.iter().map(|part| part.path.as_path()).collect();
    versions::stale(host, site, record, &current, &renewed)
}

fn wraps(chosen: &[Chosen]) -> Vec<Wrap> {
    chosen.iter().map(|chosen| chosen.wrap.clone()).collect()
}

/// A change of the engine's configuration as a part. A file that is a link is changed where it leads to.
pub(super) fn configuration(host: &Host, change: &Change) -> Result<Part, FileError> {
    let path = host.resolve(&change.path).map_err(FileError::new("look at", &change.path))?;
    let content = change.after.clone().map_or(Content::Absent, |text| Content::Text(text.into_bytes()));
    Part::new(host, &path, Role::Configuration, content)
}

/// The bytes of this program.
fn program() -> Result<Vec<u8>, FileError> {
    let path = Path::new("/proc/self/exe");
    std::fs::read(path).map_err(FileError::new("read", path))
}

/// For people: what berth stands in front of.
pub(super) fn front(kind: Kind) -> &'static str {
    match kind {
        Kind::Containerd => "containerd",
        Kind::CriO => "CRI-O",
    }
}
