//! Taking berth away again: what the engine reads first, what it runs last.

use super::apply::{clean, how, now, rolled_back, write_record};
use super::candidate::validate;
use super::object::Object;
use super::parts::{Part, outside};
use super::plan::configuration;
use super::record::{Item, Record, Role, State};
use super::restart::{self, How, Restarter, Wanted as Answer};
use super::site::{self, RECORD, STATE, Site};
use super::work::{Content, Work, sweep};
use super::{InstallError, Mode, Order, Told, cri, lock, own, render, users};
use crate::engine::Host;
use crate::engine::edit::{self, Change};
use crate::fsutil::FileError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What an uninstall would do.
#[derive(Debug)]
pub(super) struct Removal {
    /// What the engine reads.
    pub(super) changes: Vec<Change>,
    /// Files of its configuration that somebody has changed since: they keep those changes.
    pub(super) edited: Vec<PathBuf>,
    /// The plugin that the engine starts, and its configuration.
    pub(super) first: Vec<Part>,
    /// Everything else, in the order in which it goes.
    pub(super) last: Vec<Part>,
    /// What stays, because it is not what was put there any more.
    pub(super) kept: Vec<PathBuf>,
}

/// Plans an uninstall, and carries it out if that is asked for.
///
/// # Errors
/// What stood in the way; pods that still need berth above all.
pub fn uninstall(order: &Order) -> Result<Told, InstallError> {
    let host = Host::new(&order.host_root)?;
    if order.mode == Mode::Plan {
        let Some(record) = site::record(&host)? else { return Ok(render::nothing_installed()) };
        let site = Site::of_record(&host, &order.choice, &record)?;
        let removal = removal(&host, &site, &record)?;
        let used = users::pods(&host, &site.engine, &site.state, &record)?;
        return Ok(render::removal(&site, &removal, how(order, &site).as_ref(), &used));
    }
    // None may begin meanwhile either.
    let staying = lock::take_staying(&host, lock::UNINSTALL)?;
    let lock = lock::take(&host, lock::UNINSTALL)?;
    let told = apply(&host, order);
    let removed = [lock.remove(), staying.remove()];
    let told = told?;
    removed.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(told)
}

fn apply(host: &Host, order: &Order) -> Result<Told, InstallError> {
    let Some(record) = site::record(host)? else {
        return forget_rest(host).map(|()| render::nothing_installed());
    };
    let site = Site::of_record(host, &order.choice, &record)?;
    // What is gone is not restarted.
    let how = how(order, &site).filter(|_| site.engine.program.is_some() || site.engine.running.is_some());
    Uninstall { host, site: &site, order, how }.run(record)
}

struct Uninstall<'a> {
    host: &'a Host,
    site: &'a Site,
    order: &'a Order,
    how: Option<How>,
}

impl Uninstall<'_> {
    fn run(self, mut record: Record) -> Result<Told, InstallError> {
        self.check_unused(&record)?;
        clean(self.host, Some(&record), &[])?;
        let removal = removal(self.host, self.site, &record)?;
        let restarted = self.leave_engine(&removal, &mut record)?;
        if let Some(why) = self.still_needed(&record) {
            return Ok(render::waiting(self.site, &removal, why, restarted.as_ref()));
        }
        // A pod may have come while the engine still knew the handler.
        self.check_unused(&record)?;
        let mut work = Work::default();
        for part in removal.last.iter().filter(|part| part.role != Role::Directory) {
            let path = outside(self.host, &part.path);
            if let Err(error) = work.stage(&path, &part.content) {
                return Err(rolled_back(error.into(), work.roll_back()));
            }
        }
        if let Err(error) = work.commit() {
            return Err(rolled_back(error.into(), work.roll_back()));
        }
        work.finish()?;
        let left = self.remove_directories(&removal)?;
        self.forget(&record)?;
        let mut told = render::removed(self.site, &removal, restarted.as_ref());
        told.remarks.extend(left.iter().map(|path| format!("{} has something else in it: it stays", path.display())));
        Ok(told)
    }

    fn check_unused(&self, record: &Record) -> Result<(), InstallError> {
        let pods = users::pods(self.host, &self.site.engine, &self.site.state, record)?;
        if pods.is_empty() { Ok(()) } else { Err(InstallError::InUse(pods)) }
    }

    /// Takes berth out of what the engine reads, and has it read that if a restart was asked for.
    fn leave_engine(&self, removal: &Removal, record: &mut Record) -> Result<Option<How>, InstallError> {
        let mut work = Work::default();
        let mut earlier = None;
        if !removal.first.is_empty() {
            if !removal.changes.is_empty() && self.site.unasked.is_none() {
                validate(self.host, self.site, &removal.changes, &[], Path::new(STATE))?;
            }
            let stage = |part: &Part| {
                part.check_unchanged(self.host)?;
                work.stage(&outside(self.host, &part.path), &part.content)
            };
            let staged: Result<Vec<()>, FileError> = removal.first.iter().map(stage).collect();
            if let Err(error) = staged {
                return Err(rolled_back(error.into(), work.roll_back()));
            }
            earlier = Some(record.clone());
            record.state = State::Leaving;
            record.restart_since = Some(now());
            let committed = write_record(self.host, record).and_then(|()| Ok(work.commit()?));
            if let Err(error) = committed {
                return Err(rolled_back(error, self.take_back(work, earlier)));
            }
        }
        let Some(how) = self.how.as_ref().filter(|_| self.awaits_restart(record)) else {
            work.finish()?;
            return Ok(None);
        };
        let restarter =
            Restarter { host: self.host, engine: &self.site.engine, how: how.clone(), patience: self.order.patience };
        let names: Vec<_> = record.handlers.iter().map(|handler| handler.name.clone()).collect();
        if let Err(error) = restarter.restart(Answer { with: &[], without: &names }) {
            let cause = rolled_back(error.into(), self.take_back(work, earlier));
            if !cause.is_of_restart() {
                return Err(cause);
            }
            return Err(match restarter.restart(Answer { with: &names, without: &[] }) {
                Ok(()) => cause,
                Err(again) => InstallError::Down { cause: Box::new(cause), again },
            });
        }
        record.restart_since = None;
        work.finish()?;
        Ok(Some(how.clone()))
    }

    /// The engine has not been started since something was changed that it reads at its start.
    fn awaits_restart(&self, record: &Record) -> bool {
        let started = || restart::since(self.host, &self.site.engine.socket);
        record.restart_since.is_some_and(|since| started().is_none_or(|at| at <= since))
    }

    fn take_back(&self, work: Work, record: Option<Record>) -> Vec<FileError> {
        let left = work.roll_back();
        // One that says that berth leaves serves the next run as well.
        drop(record.map(|record| write_record(self.host, &record)));
        left
    }

    /// Why what the engine runs cannot go yet: it still knows a handler of ours, and would make pods by it.
    fn still_needed(&self, record: &Record) -> Option<String> {
        if record.handlers.is_empty() || !restart::answers(self.host, &self.site.engine) {
            return None;
        }
        let socket = self.host.path(&self.site.engine.socket).ok()?;
        match cri::status(&socket, Duration::from_secs(5)) {
            // Of an engine that names none nothing is known but whether it has been started since.
            Ok(status) if status.handlers.is_empty() => self.awaits_restart(record).then(|| {
                "the engine does not say which handlers it knows, and has not been restarted since".to_owned()
            }),
            Ok(status) => {
                let known = record.handlers.iter().find(|handler| status.handlers.contains(&handler.name))?;
                Some(format!("the engine still knows the handler {}", known.name))
            }
            Err(error) => Some(format!("the engine does not say which handlers it knows ({error})")),
        }
    }

    /// The directories that were made, unless somebody has put something into them; those are returned.
    fn remove_directories(&self, removal: &Removal) -> Result<Vec<PathBuf>, InstallError> {
        let mut left = Vec::new();
        for part in removal.last.iter().filter(|part| part.role == Role::Directory) {
            match std::fs::remove_dir(outside(self.host, &part.path)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => left.push(part.path.clone()),
                Err(error) => return Err(FileError::new("remove directory", &part.path)(error).into()),
            }
        }
        Ok(left)
    }

    /// The record and what belongs to it.
    fn forget(&self, record: &Record) -> Result<(), InstallError> {
        for item in &record.items {
            if let Some(backup) = &item.backup {
                crate::fsutil::remove_file(&outside(self.host, backup))?;
            }
        }
        crate::fsutil::remove_file(&outside(self.host, Path::new(RECORD)))?;
        // There may be no next run to do it.
        sweep(&outside(self.host, Path::new(RECORD)))?;
        for dir in ["originals", ""] {
            remove_own(&outside(self.host, &Path::new(STATE).join(dir)))?;
        }
        Ok(())
    }
}

/// What an install has left that was killed before it had written its record.
fn forget_rest(host: &Host) -> Result<(), InstallError> {
    let state = outside(host, Path::new(STATE));
    sweep(&state.join("x"))?;
    let originals = state.join("originals");
    match std::fs::remove_dir_all(&originals) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(FileError::new("remove directory", &originals)(error).into())
        }
        _ => remove_own(&state),
    }
}

/// Removes a directory of berth's, if it is there. With somebody else's file in it, it is not berth's alone any more.
fn remove_own(dir: &Path) -> Result<(), InstallError> {
    match std::fs::remove_dir(dir) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => {
            Err(FileError::new("remove directory", dir)(error).into())
        }
        _ => Ok(()),
    }
}

/// What is to go.
fn removal(host: &Host, site: &Site, record: &Record) -> Result<Removal, InstallError> {
    own::check(&site.input, record)?;
    own::check_alone(site, record)?;
    let changes = edit::changes(&site.input, &[])?;
    let changes: Vec<_> = changes.into_iter().filter(Change::is_needed).collect();
    let (mut first, mut last, mut kept, mut edited) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for change in &changes {
        let part = configuration(host, change)?;
        if record.item(&part.path).is_none_or(|item| item.before != part.content.object()) {
            edited.push(part.path.clone());
        }
        first.push(part);
    }
    for item in record.items.iter().rev().filter(|item| item.role != Role::Configuration) {
        let now = Object::at(&outside(host, &item.path))?;
        if now == Object::Absent || now == item.before {
            continue;
        }
        if !item.is_ours(&now) {
            kept.push(item.path.clone());
            continue;
        }
        let content = content_before(host, item)?;
        let part = Part { path: item.path.clone(), role: item.role, content, now };
        if item.role == Role::Plugin { first.push(part) } else { last.push(part) }
    }
    Ok(Removal { changes, edited, first, last, kept })
}

/// What was there before, from its backup if it was a file.
fn content_before(host: &Host, item: &Item) -> Result<Content, FileError> {
    Ok(match (&item.before, &item.backup) {
        (Object::Link(target), _) => Content::Link(target.clone()),
        (Object::File(_), Some(backup)) => {
            let path = outside(host, backup);
            Content::Text(std::fs::read(&path).map_err(FileError::new("read", &path))?)
        }
        _ => Content::Absent,
    })
}
