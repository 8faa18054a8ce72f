//! The lifecycle rule, applied to a few records on the way: a node without a daemon does not leak.

use crate::apply::{Keeper, Mode, Outcome, Settlement, Sight, Which};
use crate::exit::chain;
use crate::logging::Line;
use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// How many records each call looks at.
const AT_MOST: usize = 8;

/// Settles up to [`AT_MOST`] of the records, and says what changed and what could not be settled. Nothing here can fail
/// a creation. Where to begin is drawn from the clock, so that over many calls each
/// record has its turn without a cursor that processes would have to share.
pub(super) fn settle(keeper: &Keeper, sight: &Sight) -> Vec<Line> {
    let settlement = pass(keeper, sight);
    let done = settlement.settled.iter().filter_map(|settled| {
        let (event, why) = match settled.outcome {
            Outcome::Released(why) => ("Release", why.as_str()),
            Outcome::Healed => ("Heal", "pin-missing"),
            Outcome::Kept(_) | Outcome::Draining(_) => return None,
        };
        Some(Line::event(event).with("pin", &settled.name).with("why", why))
    });
    let failed = settlement.errors.iter().map(|(about, error)| {
        let line = Line::message("a pin could not be settled");
        about.iter().fold(line, |line, name| line.with("pin", name)).with("error", chain(error))
    });
    done.chain(failed).collect()
}

fn pass(keeper: &Keeper, sight: &Sight) -> Settlement {
    let drawn = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.subsec_micros()).unwrap_or_default();
    match keeper.ledger.some(usize::try_from(drawn).unwrap_or_default(), AT_MOST) {
        Ok(some) => keeper.settle(Which::These(&some), sight, Mode::Apply, &mut HashSet::new()),
        Err(error) => Settlement { errors: vec![(None, error.into())], ..Settlement::default() },
    }
}
