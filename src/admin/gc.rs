//! `berth gc`: the lifecycle rule, applied once to everything there is.

use super::{AdminError, table};
use crate::apply::{Keeper, Mode, Outcome, Settled, Sight, Which};
use crate::exit::chain;
use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

/// Settles every pin and writes one line for each, with the proof.
///
/// # Errors
/// A directory cannot be used, a pin could not be settled (the others were), or `out` cannot be written.
pub fn gc(
    state_dir: &Path,
    netns_dir: &Path,
    host_proc: Option<&Path>,
    mode: Mode,
    out: &mut impl Write,
) -> Result<(), AdminError> {
    let keeper = match mode {
        Mode::Apply => Some(Keeper::open(state_dir, netns_dir)?),
        Mode::Preview => Keeper::open_existing(state_dir, netns_dir)?,
    };
    let Some(keeper) = keeper else { return Ok(()) };
    let settlement = keeper.settle(Which::All, &Sight::here(host_proc), mode, &mut HashSet::new());
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
    if unsettled.is_empty() { Ok(()) } else { Err(AdminError::Unsettled(unsettled)) }
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
