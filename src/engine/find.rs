//! Which engine a node has.

use super::host::Host;
use super::process::{Process, processes};
use super::table::{Distribution, Kind, ROWS, Row};
use super::version::Version;
use super::{EngineError, RunError};
use std::path::{Path, PathBuf};

/// What an operator has said of the engine; all of it is optional.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Which one: `containerd`, `cri-o`, `k3s`, `rke2`, `k0s`, `microk8s`.
    pub engine: Option<String>,
    /// Its configuration.
    pub config: Option<PathBuf>,
    /// The directory of its drop-ins.
    pub drop_ins: Option<PathBuf>,
    /// Its socket.
    pub socket: Option<PathBuf>,
    /// Its program.
    pub program: Option<PathBuf>,
}

impl Choice {
    /// The words for [`Choice::engine`].
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        ROWS.iter().map(|row| row.name).collect()
    }
}

/// An engine. Paths are the host's own.
#[derive(Debug, Clone)]
pub struct Engine {
    /// What it is.
    pub kind: Kind,
    /// Who starts it.
    pub distribution: Distribution,
    /// Its version, or why that is not known.
    pub version: Result<Version, String>,
    /// Its program, where one was found.
    pub program: Option<PathBuf>,
    /// Its root configuration file, which need not exist.
    pub config: PathBuf,
    /// Where drop-ins go; containerd reads them only if the root file imports them. `None`: it has no such place.
    pub drop_ins: Option<PathBuf>,
    /// Where its CRI is served.
    pub socket: PathBuf,
    /// The systemd unit that starts it, as far as can be told: the likelier one of the distribution's.
    pub unit: &'static str,
    /// Its process, if it runs.
    pub running: Option<Process>,
}

impl Engine {
    /// Its name on the command line, and for people: `containerd`, `cri-o`, `k3s` and so on.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let mine = |row: &&Row| (row.kind, row.distribution) == (self.kind, self.distribution);
        ROWS.iter().find(mine).map_or(self.kind.as_str(), |row| row.name)
    }

    /// The engine of the host: the one that runs; where none does, the one whose files are there. What `choice` says goes
    /// before what is found.
    ///
    /// # Errors
    /// [`EngineError::None`], and [`EngineError::Several`] where the choice leaves more than one.
    pub fn find(host: &Host, choice: &Choice) -> Result<Self, EngineError> {
        let fits = |row: &Row| choice.engine.as_deref().is_none_or(|name| name == row.name);
        let running: Vec<_> = processes(host)
            .into_iter()
            .map(|process| (Row::of(process.kind, process.flags.config.as_deref()), process))
            .filter(|(row, process)| fits(row) && may_be(choice, process))
            .collect();
        let mut engines: Vec<_> =
            running.into_iter().map(|(row, process)| Self::assemble(host, row, Some(process), choice)).collect();
        if engines.is_empty() {
            let rows = ROWS.iter().filter(|row| fits(row) && is_installed(host, row, choice));
            engines = rows.map(|row| Self::assemble(host, row, None, choice)).collect();
        }
        match (engines.len(), engines.pop()) {
            (1, Some(engine)) => Ok(engine.with_version(host)),
            (_, None) => Err(EngineError::None(ROWS.iter().filter(|row| fits(row)).map(Row::wanted).collect())),
            (_, Some(last)) => {
                engines.push(last);
                Err(EngineError::Several(engines.iter().map(ToString::to_string).collect()))
            }
        }
    }

    fn assemble(host: &Host, row: &Row, running: Option<Process>, choice: &Choice) -> Self {
        let flags = running.as_ref().map(|process| process.flags.clone()).unwrap_or_default();
        let config = choice.config.clone().or(flags.config).unwrap_or_else(|| row.config.into());
        // A configuration elsewhere has its drop-ins elsewhere; beside it is where they would be looked for.
        let usual = if config == Path::new(row.config) || row.kind == Kind::CriO {
            Some(PathBuf::from(row.drop_ins)).filter(|path| path.is_absolute())
        } else {
            config.parent().map(|dir| dir.join("conf.d"))
        };
        let found = running.as_ref().and_then(|process| process.program.clone());
        let program = choice.program.clone().or(found.filter(|path| host.is_program(path)));
        let program = program.or_else(|| row.programs.iter().map(PathBuf::from).find(|path| host.is_program(path)));
        Self {
            kind: row.kind,
            distribution: row.distribution,
            version: Err(format!("{} was not found", row.kind.program())),
            program: program.or_else(|| host.program(row.kind.program())),
            config,
            drop_ins: choice.drop_ins.clone().or(flags.drop_ins).or(usual),
            socket: choice.socket.clone().or(flags.socket).unwrap_or_else(|| row.socket.into()),
            unit: unit(host, row),
            running,
        }
    }

    fn with_version(mut self, host: &Host) -> Self {
        if let Some(program) = &self.program {
            self.version = match host.run(program, &["--version"]) {
                Ok(said) => {
                    Version::in_words(&said.out).ok_or_else(|| format!("{} --version says none", program.display()))
                }
                Err(error) => Err(crate::exit::chain(&error)),
            };
        }
        self
    }

    /// Its program.
    ///
    /// # Errors
    /// [`RunError::NotFound`]
    pub fn program(&self) -> Result<&Path, RunError> {
        self.program.as_deref().ok_or_else(|| RunError::NotFound(self.kind.program().to_owned()))
    }
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with {}", self.name(), self.config.display())?;
        self.running.as_ref().map_or(Ok(()), |process| write!(f, " (pid {})", process.pid))
    }
}

impl Row {
    fn wanted(&self) -> String {
        self.config.to_owned()
    }
}

/// A process can be the one that is meant.
fn may_be(choice: &Choice, process: &Process) -> bool {
    let same = |chosen: &Option<PathBuf>, told: &Option<PathBuf>, row: &str| {
        chosen.as_ref().is_none_or(|chosen| told.as_deref().unwrap_or(Path::new(row)) == chosen)
    };
    let row = Row::of(process.kind, process.flags.config.as_deref());
    same(&choice.config, &process.flags.config, row.config) && same(&choice.socket, &process.flags.socket, row.socket)
}

fn is_installed(host: &Host, row: &Row, choice: &Choice) -> bool {
    // Who names both means it, whatever is there.
    let named = choice.engine.is_some() && choice.config.is_some();
    let program = row.distribution == Distribution::Plain && host.program(row.kind.program()).is_some();
    named || program || row.marks.iter().any(|mark| host.has(Path::new(mark)))
}

/// The unit of the distribution that the node has.
fn unit(host: &Host, row: &Row) -> &'static str {
    let dirs =
        ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
    let there = |unit: &&&str| dirs.iter().any(|dir| host.has(&Path::new(dir).join(format!("{unit}.service"))));
    row.units.iter().find(there).or(row.units.first()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
