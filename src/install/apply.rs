//! An install carried out.

use super::candidate::validate;
use super::label::{self, Label};
use super::object::Object;
use super::parts::{Part, outside};
use super::plan::{Plan, by_hand, front, plan};
use super::record::{Engine, Handler, Item, Record, Role, State, VERSION};
use super::restart::{self, How, Restarter, Wanted as Answer};
use super::site::{self, RECORD, STATE, Site};
use super::work::{Content, Work, sweep};
use super::{InstallError, Mode, Order, Restart, Told, Wanted, berth, lock, own, render, users, versions};
use crate::engine::{Distribution, Host};
use crate::fsutil::FileError;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the bytes are kept that were replaced.
const ORIGINALS: &str = "/var/lib/berth/originals";

/// Plans an install, and carries it out if that is asked for.
///
/// # Errors
/// What stood in the way. Everything is then as it was before, unless the error says otherwise.
pub fn install(order: &Order, wanted: &Wanted) -> Result<Told, InstallError> {
    let host = Host::new(&order.host_root)?;
    let first = Site::read(&host, &order.choice)?;
    if first.engine.distribution != Distribution::Plain {
        return Ok(render::by_hand(&first, &by_hand(&host, &first, wanted)?, order.mode));
    }
    let how = how(order, &first);
    if order.mode == Mode::Plan {
        let record = site::record(&host)?;
        let plan = plan(&host, &first, wanted, record.as_ref())?;
        return Ok(render::plan(&first, &plan, how.as_ref()));
    }
    let lock = lock::take(&host, "berth install")?;
    // Read again: what was read before the lock may be another install's half.
    let site = Site::read(&host, &order.choice)?;
    let told = Install { host: &host, site: &site, order, how }.run(wanted);
    let removed = lock.remove();
    let told = told?;
    removed?;
    Ok(told)
}

/// How the engine would be restarted, if it is to be.
pub(super) fn how(order: &Order, site: &Site) -> Option<How> {
    order.restart.as_ref().map(|restart| match restart {
        Restart::Systemd => How::Systemd(site.engine.unit.to_owned()),
        Restart::Shell(line) => How::Shell(line.clone()),
    })
}

struct Install<'a> {
    host: &'a Host,
    site: &'a Site,
    order: &'a Order,
    how: Option<How>,
}

impl Install<'_> {
    fn run(self, wanted: &Wanted) -> Result<Told, InstallError> {
        let earlier = site::record(self.host)?;
        let plan = plan(self.host, self.site, wanted, earlier.as_ref())?;
        clean(self.host, earlier.as_ref(), &plan.parts)?;
        let pending = earlier.as_ref().and_then(|record| record.restart_since);
        let pending =
            pending.filter(|since| restart::since(self.host, &self.site.engine.socket).is_none_or(|at| at <= *since));
        let finished = earlier.as_ref().is_some_and(|record| record.state == State::Installed);
        if plan.parts.is_empty() && plan.stale.is_empty() && (finished || plan.chosen.is_empty() && earlier.is_none()) {
            let restarted = self.restart_pending(earlier, pending)?;
            return Ok(render::unchanged(&plan, restarted.as_ref(), pending.is_some()));
        }
        let record = self.record(&plan, earlier.as_ref())?;
        let mut books = Work::default();
        let begun = begin(self.host, &mut books, &record);
        if let Err(error) = begun {
            return Err(rolled_back(error, books.roll_back()));
        }
        self.carry_out(&plan, record, books, pending)
    }

    /// Restarts an engine that an earlier run has left waiting for it.
    fn restart_pending(&self, record: Option<Record>, pending: Option<u64>) -> Result<Option<How>, InstallError> {
        let (Some(mut record), Some(_), Some(how)) = (record, pending, &self.how) else { return Ok(None) };
        let names: Vec<_> = record.handlers.iter().map(|handler| handler.name.clone()).collect();
        self.restarter(how).restart(Answer { with: &names, without: &[] })?;
        record.restart_since = None;
        write_record(self.host, &record)?;
        Ok(Some(how.clone()))
    }

    fn restarter(&self, how: &How) -> Restarter<'_> {
        Restarter { host: self.host, engine: &self.site.engine, how: how.clone(), patience: self.order.patience }
    }

    /// The record of what will be there.
    fn record(&self, plan: &Plan, earlier: Option<&Record>) -> Result<Record, InstallError> {
        let items = entered(earlier.map_or(&[][..], |record| &record.items), &plan.parts);
        let handlers = plan.chosen.iter().map(|chosen| Handler {
            name: chosen.wrap.new.clone(),
            wraps: chosen.wrap.handler.clone(),
            interposer: plan.bin_dir.join(&chosen.name),
            delegate: chosen.delegate.clone(),
        });
        let after = own::after(self.site, &plan.changes)?;
        let mut own = earlier.map(|record| record.own.clone()).unwrap_or_default();
        own.retain(|hash| Some(hash) != after.as_ref());
        own.extend(after);
        let engine = &self.site.engine;
        let engine = Engine {
            kind: engine.kind.as_str().to_owned(),
            config: engine.config.clone(),
            drop_ins: engine.drop_ins.clone(),
            socket: Some(engine.socket.clone()),
            state: Some(self.site.state.clone()),
        };
        Ok(Record {
            version: VERSION,
            berth: berth(),
            state: State::Begun,
            engine,
            own,
            bin_dir: plan.bin_dir.clone(),
            handlers: handlers.collect(),
            restart_since: plan.concerns_engine().then(now).or(earlier.and_then(|record| record.restart_since)),
            items,
        })
    }

    fn carry_out(
        &self,
        plan: &Plan,
        mut record: Record,
        books: Work,
        pending: Option<u64>,
    ) -> Result<Told, InstallError> {
        let (mut parts, mut config) = (Work::default(), Work::default());
        let placed = self.place(plan, &mut parts, &mut config);
        let mut remarks = match placed {
            Ok(remarks) => remarks,
            Err(error) => {
                let left = [config.roll_back(), parts.roll_back(), books.roll_back()].concat_all();
                return Err(rolled_back(error, left));
            }
        };
        let due = plan.concerns_engine() || pending.is_some();
        let restarted = self.how.as_ref().filter(|_| due);
        if let Some(how) = restarted {
            let names: Vec<_> = plan.chosen.iter().map(|chosen| chosen.wrap.new.clone()).collect();
            if let Err(error) = self.restarter(how).restart(Answer { with: &names, without: &[] }) {
                return Err(self.back_out(how, error.into(), &record, [config, parts, books]));
            }
            record.restart_since = None;
        }
        if let Err(error) = versions::prune(self.host, &plan.stale, &mut record) {
            remarks.push(crate::exit::chain(&error));
        }
        record.end();
        // All is done, and the record that is there says so too, but for that it was finished.
        if let Err(error) = write_record(self.host, &record) {
            let (cause, again) = (crate::exit::chain(&error), "run this again");
            let next = if cause.ends_with(again) { String::new() } else { format!("; {again}") };
            remarks.push(format!("installed, and not all of it recorded: {cause}{next}"));
        }
        for work in [config, parts, books] {
            if let Err(error) = work.finish() {
                remarks.push(crate::exit::chain(&error));
            }
        }
        let mut told = render::applied(self.site, plan, restarted, due && restarted.is_none());
        told.remarks.extend(remarks);
        Ok(told)
    }

    /// Everything to its place; what the engine reads comes last.
    fn place(&self, plan: &Plan, parts: &mut Work, config: &mut Work) -> Result<Vec<String>, InstallError> {
        if !plan.changes.is_empty() {
            validate(self.host, self.site, &plan.changes, &plan.wraps(), Path::new(STATE))?;
        }
        for part in &plan.parts {
            let work = if part.role == Role::Configuration { &mut *config } else { &mut *parts };
            part.check_unchanged(self.host)?;
            work.stage(&outside(self.host, &part.path), &part.content)?;
        }
        parts.commit()?;
        self.check_program(plan)?;
        let remarks = self.label(plan);
        config.commit()?;
        Ok(remarks)
    }

    /// The program is what it should be, byte for byte, also when it is read again.
    fn check_program(&self, plan: &Plan) -> Result<(), InstallError> {
        for part in plan.parts.iter().filter(|part| part.role == Role::Program) {
            let path = outside(self.host, &part.path);
            if Object::at(&path)? != part.content.object() {
                let changed = std::io::Error::other("is not what was written");
                return Err(FileError::new("check", &path)(changed).into());
            }
        }
        Ok(())
    }

    fn label(&self, plan: &Plan) -> Vec<String> {
        if plan.label != Label::Restorecon {
            return Vec::new();
        }
        let roles = [Role::Program, Role::Name, Role::Plugin];
        let paths: Vec<_> =
            plan.parts.iter().filter(|part| roles.contains(&part.role)).map(|part| &*part.path).collect();
        label::restore(self.host, &paths).err().map(|why| format!("SELinux: {why}")).into_iter().collect()
    }

    /// The engine did not come as it should: its configuration is put back and it is restarted once more; berth's parts
    /// go too, unless a pod has come to need them in between. Where nothing could be run to restart it, it runs as before.
    fn back_out(&self, how: &How, cause: InstallError, record: &Record, work: [Work; 3]) -> InstallError {
        let [config, parts, books] = work;
        let mut left = config.roll_back();
        let again = match cause.is_of_restart() {
            true => self.restarter(how).restart(Answer { with: &[], without: &[] }),
            false => Ok(()),
        };
        let used =
            users::pods(self.host, &self.site.engine, &self.site.state, record).map_or(true, |pods| !pods.is_empty());
        if !used {
            left.extend(parts.roll_back());
            left.extend(books.roll_back());
        }
        let cause = rolled_back(cause, left);
        match again {
            Ok(()) => cause,
            Err(again) => InstallError::Down { cause: Box::new(cause), again },
        }
    }
}

trait ConcatAll {
    fn concat_all(self) -> Vec<FileError>;
}

impl<const N: usize> ConcatAll for [Vec<FileError>; N] {
    fn concat_all(self) -> Vec<FileError> {
        self.into_iter().flatten().collect()
    }
}

/// Keeps the bytes that will be replaced, and writes the record of what will be there.
pub(super) fn begin(host: &Host, books: &mut Work, record: &Record) -> Result<(), InstallError> {
    for dir in ["/var/lib", STATE, ORIGINALS] {
        let path = outside(host, Path::new(dir));
        if Object::at(&path)? == Object::Absent {
            books.stage(&path, &Content::Directory)?;
        }
    }
    for item in &record.items {
        let (Some(backup), at) = (&item.backup, outside(host, &item.path)) else { continue };
        let backup = outside(host, backup);
        if Object::at(&backup)? == Object::Absent {
            let bytes = std::fs::read(&at).map_err(FileError::new("read", &at))?;
            books.stage(&backup, &Content::Private(bytes))?;
        }
    }
    books.stage(&outside(host, Path::new(RECORD)), &Content::Text(encode(record)?))?;
    Ok(books.commit()?)
}

/// What a record lists, with these parts.
pub(super) fn entered(items: &[Item], parts: &[Part]) -> Vec<Item> {
    let mut items = items.to_vec();
    for part in parts {
        let after = part.content.object();
        match items.iter_mut().find(|item| item.path == part.path) {
            // What was there before the first install is what uninstall gives back; but not what somebody has put there
            // in between.
            Some(item) if item.is_ours(&part.now) => {
                item.replaces = Some(part.now.clone());
                item.after = after;
            }
            Some(item) if item.before == part.now => item.after = after,
            Some(item) => *item = item_of(part, after),
            None => items.push(item_of(part, after)),
        }
    }
    items
}

fn item_of(part: &Part, after: Object) -> Item {
    let backup = match &part.now {
        Object::File(hash) => Some(backup(&part.path, hash)),
        _ => None,
    };
    Item { path: part.path.clone(), role: part.role, before: part.now.clone(), after, replaces: None, backup }
}

/// Named by what is in it, and for people by what it was called.
fn backup(path: &Path, hash: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Path::new(ORIGINALS).join(format!("{name}.{}", hash.get(..16).unwrap_or_default()))
}

pub(super) fn encode(record: &Record) -> Result<Vec<u8>, InstallError> {
    record.encode().map_err(|source| InstallError::Record { path: RECORD.into(), source })
}

/// Writes the record in the place of the one that is there.
pub(super) fn write_record(host: &Host, record: &Record) -> Result<(), InstallError> {
    let mut work = Work::default();
    let staged = work.stage(&outside(host, Path::new(RECORD)), &Content::Text(encode(record)?));
    match staged.and_then(|()| work.commit()) {
        Ok(()) => Ok(work.finish()?),
        Err(error) => {
            drop(work.roll_back());
            Err(error.into())
        }
    }
}

/// Removes what killed processes have left.
pub(super) fn clean(host: &Host, record: Option<&Record>, parts: &[Part]) -> Result<(), FileError> {
    let recorded = record.iter().flat_map(|record| &record.items).map(|item| item.path.as_path());
    let paths = recorded.chain(parts.iter().map(|part| part.path.as_path())).chain([Path::new(RECORD)]);
    let mut dirs: std::collections::BTreeSet<_> = paths.filter_map(Path::parent).collect();
    dirs.insert(Path::new(ORIGINALS));
    dirs.into_iter().try_for_each(|dir| sweep(&outside(host, &dir.join("x"))))
}

pub(super) fn rolled_back(cause: InstallError, left: Vec<FileError>) -> InstallError {
    let left = left.iter().map(|error| crate::exit::chain(error)).collect();
    InstallError::RolledBack { cause: Box::new(cause), left }
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
}

/// For people.
pub(super) fn engine_words(site: &Site) -> String {
    let version = site.engine.version.as_ref().map_or_else(|_| String::new(), |version| format!(" {version}"));
    format!("{}{version}", front(site.engine.kind))
}
