//! What holds of an install, looked at again and again: without changing anything, without much work, and without a word
//! in the engine's log.

use super::object::Object;
use super::parts::outside;
use super::record::{Record, Role, State};
use super::{InstallError, Order, berth, cri, own, restart, site, versions};
use crate::address::Address;
use crate::config::{Config, DEFAULT_PATH};
use crate::engine::{Engine, Host, Kind};
use crate::exit::chain;
use crate::finding::{Finding, relayed};
use crate::http::ask;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const INSTALL: &str = "install";
const FILES: &str = "installed-files";
const SETTINGS: &str = "configuration";
const HANDLERS: &str = "handlers";
const RESTART: &str = "engine-restart";
const PLUGIN: &str = "plugin";

/// What an engine or a plugin may take for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What brings back what is not there.
const AGAIN: &str = "run this install again: in a cluster, delete this pod, and the next one does";

/// What of a file changes whenever its content does: device, inode, size, time of its last change.
type Mark = (u64, u64, u64, i64, i64);

/// An install on a host, to be looked at.
#[derive(Debug)]
pub struct Standing {
    host: Host,
    /// The systemd unit of its engine.
    unit: &'static str,
    /// Programs that were read, as they were then.
    read: HashMap<PathBuf, (Mark, Object)>,
}

impl Standing {
    /// Of what was installed in this order.
    ///
    /// # Errors
    /// The host or its engine cannot be found.
    pub fn of(order: &Order) -> Result<Self, InstallError> {
        let host = Host::new(&order.host_root)?;
        let unit = Engine::find(&host, &order.choice)?.unit;
        Ok(Self { host, unit, read: HashMap::new() })
    }

    /// Each thing that must hold for pods to come through berth. Waits for an engine and a plugin for some seconds at most.
    pub fn look(&mut self) -> Vec<Finding> {
        let record = match site::record(&self.host) {
            Ok(Some(record)) => record,
            Ok(None) => return vec![Finding::fail(INSTALL, "nothing is installed on this node", AGAIN)],
            Err(error) => return vec![Finding::fail(INSTALL, chain(&error), AGAIN)],
        };
        let mut found = vec![installed(&record)];
        found.extend(self.files(&record));
        found.extend(self.engine(&record));
        if record.items.iter().any(|item| item.role == Role::Plugin) {
            found.extend(self.plugin(&record));
        }
        found
    }

    /// Where the plugin says how it is, seen from here.
    ///
    /// # Errors
    /// It does not, or not where it could be asked from here; in words.
    pub fn plugin_listens(&self) -> Result<Address, String> {
        let text = self.host.read(Path::new(DEFAULT_PATH)).map_err(|error| chain(&error))?;
        let listen = match text {
            Some(text) => Config::parse(&text, DEFAULT_PATH).map_err(|error| chain(&error))?.listen,
            None => None,
        };
        match listen {
            Some(Address::Unix(path)) => {
                self.host.path(&path).map(Address::Unix).map_err(|error| format!("{}: {error}", path.display()))
            }
            // A port could be that of who asks.
            Some(other) => Err(format!("{DEFAULT_PATH} on this node has it listen at {other}, which is no socket")),
            None => Err(format!("{DEFAULT_PATH} on this node does not say where it listens")),
        }
    }

    /// Everything is at its place as it was put there.
    fn files(&mut self, record: &Record) -> Vec<Finding> {
        let (mut wrong, mut found) = (Vec::new(), Vec::new());
        for item in record.items.iter().filter(|item| item.role != Role::Configuration) {
            let path = outside(&self.host, &item.path);
            let now = if item.role == Role::Program { self.program(&path) } else { Object::at(&path) };
            match now {
                Ok(now) if item.is_ours(&now) => {}
                Ok(Object::Absent) => wrong.push(format!("{} is gone", item.path.display())),
                Ok(Object::File(_)) if item.role == Role::Settings => {
                    let message = format!("{} was changed on the node, and holds as it is there", item.path.display());
                    let hint = "move it away, and install again, to have there what was installed";
                    found.push(Finding::warn(SETTINGS, message, hint));
                }
                Ok(_) => wrong.push(format!("{} was changed", item.path.display())),
                Err(error) => wrong.push(chain(&error)),
            }
        }
        wrong.extend(self.configuration(record));
        found.push(match wrong[..] {
            [] => Finding::pass(FILES, "are as they were put there"),
            _ => Finding::fail(FILES, wrong.join("; "), AGAIN),
        });
        found
    }

    /// A program is long: it is read again when its file says that it may be another one.
    fn program(&mut self, path: &Path) -> Result<Object, crate::fsutil::FileError> {
        let mark = std::fs::symlink_metadata(path)
            .map(|data| (data.dev(), data.ino(), data.size(), data.ctime(), data.ctime_nsec()))
            .ok();
        if let Some((read, object)) = self.read.get(path)
            && Some(*read) == mark
        {
            return Ok(object.clone());
        }
        let object = Object::at(path)?;
        if let Some(mark) = mark {
            self.read.insert(path.to_owned(), (mark, object.clone()));
        }
        Ok(object)
    }

    /// What is wrong with berth's lines in the engine's configuration.
    fn configuration(&self, record: &Record) -> Option<String> {
        if record.handlers.is_empty() {
            return None;
        }
        let engine = &record.engine;
        let kind = if engine.kind == Kind::CriO.as_str() { Kind::CriO } else { Kind::Containerd };
        let input = site::own_files(&self.host, record, kind, &engine.config, engine.drop_ins.as_deref());
        input.and_then(|input| own::missing(&self.host, &input, record)).unwrap_or_else(|error| Some(chain(&error)))
    }

    /// The engine answers, and knows what it was given.
    fn engine(&self, record: &Record) -> Vec<Finding> {
        let kind = &record.engine.kind;
        let Some(socket) = &record.engine.socket else {
            return vec![Finding::skip(HANDLERS, "the record does not say where the engine is asked")];
        };
        let asked = self.host.path(socket).and_then(|path| cri::status(&path, PATIENCE));
        let status = match asked {
            Ok(status) => status,
            Err(error) => {
                let message = format!("{kind} does not answer at {}: {error}", socket.display());
                return vec![Finding::fail(
                    HANDLERS,
                    message,
                    format!("start it, or look into its log ({})", self.unit),
                )];
            }
        };
        let unread = self.is_unread(record, socket);
        let names: Vec<_> = record.handlers.iter().map(|handler| handler.name.as_str()).collect();
        let missing: Vec<_> = names.iter().filter(|name| !status.handlers.contains(**name)).copied().collect();
        let restart = self.restart(kind);
        let mut found = vec![match (names.is_empty(), status.handlers.is_empty(), missing.is_empty()) {
            (true, ..) => Finding::pass(HANDLERS, format!("{kind} answers; no handler was asked for")),
            (_, true, _) if unread => Finding::fail(HANDLERS, format!("{kind} has not read them yet"), restart.clone()),
            (_, true, _) => Finding::skip(HANDLERS, format!("{kind} does not say which handlers it knows")),
            (.., true) => Finding::pass(HANDLERS, format!("{kind} knows {}", names.join(", "))),
            (.., false) => {
                let message =
                    format!("{kind} does not know {}: it reads its configuration at its start", missing.join(", "));
                Finding::fail(HANDLERS, message, restart.clone())
            }
        }];
        found.extend(unread.then(|| {
            Finding::warn(RESTART, format!("{kind} has not been started since something was changed for it"), restart)
        }));
        if !status.ready {
            let message = format!("{kind} says that it is not ready");
            found.push(Finding::fail(HANDLERS, message, format!("look into its log ({})", self.unit)));
        }
        found
    }

    fn restart(&self, kind: &str) -> String {
        format!("restart {kind} on this node (systemctl restart {}), or run this install with --restart", self.unit)
    }

    /// The engine runs longer than what was changed for it is there.
    fn is_unread(&self, record: &Record, socket: &Path) -> bool {
        let started = restart::since(&self.host, socket);
        record.restart_since.zip(started).is_some_and(|(changed, started)| started < changed)
    }

    /// The plugin that the engine has started serves this node, and says itself how it is.
    fn plugin(&self, record: &Record) -> Vec<Finding> {
        let address = match self.plugin_listens() {
            Ok(address) => address,
            Err(why) => {
                let hint = "set listen: unix:/run/berth/http.sock in the configuration that is installed";
                return vec![Finding::fail(PLUGIN, format!("cannot be asked: {why}"), hint)];
            }
        };
        let kind = &record.engine.kind;
        let mut found = match ask(&address, "/readyz", PATIENCE) {
            Ok(reply) => relayed(PLUGIN, reply.status, &reply.body),
            Err(error) => {
                let message =
                    format!("does not answer: {}: {kind} starts it at its own start, and not again", chain(&error));
                return vec![Finding::fail(PLUGIN, message, self.restart(kind))];
            }
        };
        if !versions::runs_current(&self.host, record) {
            let message =
                format!("the one that runs is not this version's: {kind} starts the new one at its next start");
            found.push(Finding::warn(PLUGIN, message, self.restart(kind)));
        }
        found
    }
}

/// An install of this very version has ended well.
fn installed(record: &Record) -> Finding {
    match record.state {
        State::Begun => Finding::fail(INSTALL, "an install was begun and has not ended", AGAIN),
        State::Leaving => Finding::fail(INSTALL, "an uninstall has begun", "let it end; or install again"),
        State::Installed if record.berth != berth() => {
            Finding::fail(INSTALL, format!("{} is installed, and this is {}", record.berth, berth()), AGAIN)
        }
        State::Installed => Finding::pass(INSTALL, format!("berth {} is installed", record.berth)),
    }
}
