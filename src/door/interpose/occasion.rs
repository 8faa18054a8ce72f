//! The lifecycle rule, applied to a few records on the way: a node without a daemon does not leak.

use crate::apply::{Keeper, Mode, Outcome, Settlement, Sight, Which};
use crate::exit::chain;
use crate::lifecycle::Why;
use crate::logging::Line;
use crate::metrics;
use crate::pin::PinName;
use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// How many records each call looks at.
pub(super) const AT_MOST: usize = 8;

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
                metrics::RELEASED.count();
                if why == Why::DrainLimit {
                    metrics::DRAIN_LIMIT.count();
                }
                ("Release", why.as_str())
            }
            Outcome::Healed => {
                metrics::HEALED.count();
                ("Heal", "pin-missing")
            }
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

fn pass(keeper: &Keeper, sight: &Sight, own: Option<&PinName>) -> Settlement {
    let names = match keeper.ledger.names() {
        Ok(names) => names,
        Err(error) => return Settlement { errors: vec![(None, error.into())], ..Settlement::default() },
    };
    let drawn = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.subsec_nanos()).unwrap_or_default();
    let some = turn(&names, usize::try_from(drawn / 1000).unwrap_or_default(), own);
    keeper.settle(Which::These(&some), sight, Mode::Apply, &mut HashSet::new())
}

/// Up to [`AT_MOST`] names: `own` if it is one, and others from the `drawn`th on, round and round.
fn turn(names: &[PinName], drawn: usize, own: Option<&PinName>) -> Vec<PinName> {
    let start = drawn.checked_rem(names.len()).unwrap_or_default();
    let round = names.iter().cycle().skip(start).take(names.len());
    let (mut first, rest): (Vec<_>, Vec<_>) = round.cloned().partition(|name| Some(name) == own);
    first.extend(rest);
    first.truncate(AT_MOST);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_its_turn_and_none_twice_in_one() {
        let names: Vec<_> = (10..30).map(|id| PinName::parse(&format!("berth-{id}")).expect("name")).collect();
        let mut seen = HashSet::new();
        for drawn in 0..names.len() {
            let some = turn(&names, drawn, None);
            assert_eq!(some.iter().collect::<HashSet<_>>().len(), AT_MOST);
            seen.extend(some);
        }
        assert_eq!(seen.len(), names.len());
        assert_eq!(turn(&names[..3], 7, None).len(), 3);
        assert!(turn(&[], 7, None).is_empty());
    }

    #[test]
    fn the_containers_own_record_has_its_turn_each_time() {
        let names: Vec<_> = (10..30).map(|id| PinName::parse(&format!("berth-{id}")).expect("name")).collect();
        for drawn in 0..names.len() {
            let some = turn(&names, drawn, Some(&names[7]));
            assert_eq!((some.len(), &some[0]), (AT_MOST, &names[7]));
            assert_eq!(some.iter().collect::<HashSet<_>>().len(), AT_MOST);
        }
        let other = PinName::parse("berth-other").expect("name");
        assert!(
            !turn(&names, 0, Some(&other)).contains(&other),
            "of a name without a record there is nothing to settle"
        );
    }
}
