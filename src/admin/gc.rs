//! `berth gc`: the lifecycle rule, applied once to everything there is.

use super::{AdminError, table};
use crate::apply::{Keeper, Mode, Outcome, Settled, Sight, Which};
use crate::cli::{Directories, Gc};
use crate::config::Config;
use crate::exit::{Exit, chain};
use std::collections::HashSet;
use std::io::Write;

/// Settles every pin and writes one line for each, with the proof.
///
/// # Errors
/// A directory cannot be used, a pin could not be settled (the others were), or `out` cannot be written.
pub fn gc(command: Gc, out: &mut dyn Write) -> Result<Exit, AdminError> {
    let config = Config::load(command.config.path.as_deref())?;
    let Directories { state_dir, netns_dir } = &command.directories;
    let mode = if command.dry_run { Mode::Preview } else { Mode::Apply };
    let keeper = match mode {
        Mode::Apply => Some(Keeper::open(state_dir, netns_dir)?),
        Mode::Preview => Keeper::open_existing(state_dir, netns_dir)?,
    };
    let Some(keeper) = keeper else { return Ok(Exit::Ok) };
    let sight = Sight::here(config.host_proc.as_deref());
    let settlement = keeper.settle(Which::All, &sight, mode, &mut HashSet::new());
    let mut rows = vec![["ACTION", "PIN", "POD", "PROOF"].map(str::to_owned).to_vec()];
    rows.extend(settlement.settled.iter().map(|settled| row(settled, mode)));
    if rows.len() > 1 {
        table(out, &rows)?;
    }
    let busy = settlement.busy.iter().map(|name| format!("{name}: another berth is at it; try again"));
    let errors = settlement.errors.iter().map(|(name, error)| match name {
        Some(name) => format!("{name}: {}", chain(error)),
        None => chain(error),
    });
    let unsettled: Vec<_> = busy.chain(errors).collect();
    if unsettled.is_empty() { Ok(Exit::Ok) } else { Err(AdminError::Unsettled(unsettled)) }
}

fn row(settled: &Settled, mode: Mode) -> Vec<String> {
    let done = mode == Mode::Apply;
    let (action, proof) = match settled.outcome {
        Outcome::Kept(why) => ("keep", why.as_str()),
        Outcome::Healed => (if done { "healed" } else { "would heal" }, "pin-missing"),
        Outcome::Draining(why) => ("drain", why.as_str()),
        Outcome::Released(why) => (if done { "released" } else { "would release" }, why.as_str()),
    };
    let pod = settled
        .record
        .as_ref()
        .map_or_else(|| "-".to_owned(), |record| format!("{}/{}", record.pod.namespace, record.pod.name));
    vec![action.to_owned(), settled.name.to_string(), pod, proof.to_owned()]
}
