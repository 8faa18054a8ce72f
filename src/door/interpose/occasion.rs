//! The lifecycle rule, applied to a few records on the way: a node without a daemon does not leak.

use crate::apply::{Keeper, Mode, Outcome, Settlement, Sight, Which};
use crate::door::count;
use crate::exit::chain;
use crate::logging::Line;
use crate::metrics::table::{PIN_FAILURES, PINS_HEALED};
use crate::pin::PinName;
use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// How many records each call looks at.
const AT_MOST: usize = 8;

/// Settles up to [`AT_MOST`] of the records, that of `own` among them, and says what changed and what could not be
/// settled. Nothing here can fail a creation. Where to begin is drawn from the clock, so that over many calls each
/// record has its turn without a cursor that processes would have to share.
///
/// `own` is what a sandbox created now would be pinned as: podman starts a pod again under its old id, in a new network.
pub(super) fn settle(keeper: &Keeper, sight: &Sight, own: Option<&PinName>) -> Vec<Line> {
    let settlement = pass(keeper, sight, own);
    let done = settlement.settled.iter().filter_map(|settled| {
        let (event, why) = match settled.outcome {
            Outcome::Released(why) => {
                count::released(why);
                ("Release", why.as_str())
            }
            Outcome::Healed => {
                PINS_HEALED.count(&[]);
                ("Heal", "pin-missing")
            }
            Outcome::Kept(_) | Outcome::Draining(_) => return None,
        };
        Some(Line::event(event).with("pin", &settled.name).with("why", why))
    });
    let failed = settlement.errors.iter().map(|(about, error)| {
        if !error.is_newer_record() {
            PIN_FAILURES.count(&["settle"]);
        }
        let line = Line::message("a pin could not be settled");
        about.iter().fold(line, |line, name| line.with("pin", name)).with("error", chain(error))
    });
    done.chain(failed).collect()
}

fn pass(keeper: &Keeper, sight: &Sight, own: Option<&PinName>) -> Settlement {
    let drawn = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.subsec_micros()).unwrap_or_default();
    match keeper.ledger.some(usize::try_from(drawn).unwrap_or_default(), AT_MOST) {
        Ok(some) => keeper.settle(Which::These(&turn(some, own)), sight, Mode::Apply, &mut HashSet::new()),
        Err(error) => Settlement { errors: vec![(None, error.into())], ..Settlement::default() },
    }
}

/// `some` with `own` at its head, which has its turn each time, record or not.
fn turn(some: Vec<PinName>, own: Option<&PinName>) -> Vec<PinName> {
    let others = some.into_iter().filter(|name| Some(name) != own);
    own.cloned().into_iter().chain(others).take(AT_MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_containers_own_record_has_its_turn_each_time() {
        let names: Vec<_> = (1..=8).map(|id| PinName::parse(&format!("berth-{id}")).expect("name")).collect();
        for own in [PinName::parse("berth-own").expect("name"), names[3].clone()] {
            let turn = turn(names.clone(), Some(&own));
            assert_eq!((turn.len(), &turn[0]), (AT_MOST, &own));
            assert_eq!(turn.iter().collect::<HashSet<_>>().len(), AT_MOST);
        }
        assert_eq!(turn(names.clone(), None), names);
    }
}
