//! When a pin goes: one level-triggered rule over what is so now. Pure.
//!
//! An adopted pin is released when the engine's own file of the namespace is gone and no task is left in it.
//! Stop, Remove, the watch, Synchronize, the ticker and `gc` are only occasions to ask; none is trusted to come
//! (containerd relays neither Stop nor Remove for pods older than its own process), and none means that the VM
//! is down. So nothing here looks at which occasion it was.
//!
//! Between "gone" and "released" lie two limits. Where tasks cannot be seen, the file must have been gone for
//! [`GRACE`]. Where tasks are seen but do not end, the pin goes after [`DRAIN_LIMIT`] all the same, and that is
//! counted: a berth is not held for ever by a task that somebody forgot.

use std::time::Duration;

/// How long "gone" must have lasted where it cannot be shown that no task is left.
pub const GRACE: Duration = Duration::from_secs(30);

/// How long tasks may keep a pin whose engine has given up the namespace.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(300);

/// The pin itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pin {
    /// It holds the namespace of the record.
    Held,
    /// There is none, or only the placeholder of one.
    Missing,
    /// Something else is in its place.
    Foreign,
}

/// The engine's own file of the namespace, or the bundle of a created one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// It is there, and leads to the pinned namespace (to any, where the pin is missing).
    Present,
    /// It is gone: its directory is the one the adopting door saw, and the name is not in it or leads to another
    /// namespace.
    Gone,
    /// It cannot be told: another directory is at its place, or what is there is not a namespace here.
    Unobservable,
}

/// The tasks in the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tasks {
    /// All of the host's tasks were looked at, and none is in it.
    None,
    /// This many are.
    Some(usize),
    /// The host's tasks cannot be seen from here.
    Unknown,
}

/// What is so now.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The pin.
    pub pin: Pin,
    /// Its source.
    pub source: Source,
    /// The tasks in it.
    pub tasks: Tasks,
    /// How long the source has been known to be gone; `None` where this is the first time it is seen so.
    pub gone_for: Option<Duration>,
    /// How long ago the engine said that the pod was removed.
    pub removed_for: Option<Duration>,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Keep(Why),
    /// The same path is pinned again.
    Heal,
    /// It will go; not yet.
    Drain(Why),
    /// It goes now.
    Release(Why),
}

impl Fate {
    /// Whether carrying it out would change anything. `marked`: the record says already that the source is gone.
    #[must_use]
    pub fn changes(self, marked: bool) -> bool {
        match self {
            Self::Keep(Why::EngineHoldsIt) => marked,
            Self::Keep(_) => false,
            Self::Drain(_) => !marked,
            Self::Heal | Self::Release(_) => true,
        }
    }
}

/// The proof, in a word and a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The engine's file leads to the namespace, or the bundle it was made for is there.
    EngineHoldsIt,
    /// Something that berth did not make is at the pin's path.
    ForeignAtPath,
    /// Neither the engine's file nor a removal has been seen.
    Unobservable,
    /// Tasks are left.
    TasksLeft,
    /// Tasks cannot be seen; the grace has not passed.
    Grace,
    /// File gone, no task left.
    GoneAndEmpty,
    /// File gone, tasks not visible, grace passed.
    GoneAndGracePassed,
    /// File not observable, pod removed, grace passed.
    RemovedAndGracePassed,
    /// File gone, tasks still there after [`DRAIN_LIMIT`].
    DrainLimit,
}

impl Why {
    /// The word for logs and counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EngineHoldsIt => "engine-holds-it",
            Self::ForeignAtPath => "foreign-at-path",
            Self::Unobservable => "unobservable",
            Self::TasksLeft => "tasks-left",
            Self::Grace => "grace",
            Self::GoneAndEmpty => "gone-and-empty",
            Self::GoneAndGracePassed => "gone-and-grace-passed",
            Self::RemovedAndGracePassed => "removed-and-grace-passed",
            Self::DrainLimit => "drain-limit",
        }
    }
}

/// The rule. Total.
#[must_use]
pub fn evaluate(facts: &Facts) -> Fate {
    if facts.pin == Pin::Foreign {
        return Fate::Keep(Why::ForeignAtPath);
    }
    match (facts.source, facts.pin) {
        (Source::Present, Pin::Missing) => Fate::Heal,
        (Source::Present, _) => Fate::Keep(Why::EngineHoldsIt),
        // A pin that is missing here may be mounted elsewhere: its tasks are asked for all the same.
        (Source::Gone, _) => drain(facts, facts.gone_for.unwrap_or_default()),
        (Source::Unobservable, _) => unobservable(facts),
    }
}

fn drain(facts: &Facts, gone_for: Duration) -> Fate {
    match facts.tasks {
        Tasks::None => Fate::Release(Why::GoneAndEmpty),
        Tasks::Some(_) if gone_for >= DRAIN_LIMIT => Fate::Release(Why::DrainLimit),
        Tasks::Some(_) => Fate::Drain(Why::TasksLeft),
        Tasks::Unknown if gone_for >= GRACE => Fate::Release(Why::GoneAndGracePassed),
        Tasks::Unknown => Fate::Drain(Why::Grace),
    }
}

/// Remove plus grace, and still not before the tasks where they can be seen.
fn unobservable(facts: &Facts) -> Fate {
    match (facts.removed_for, facts.tasks) {
        (None, _) => Fate::Keep(Why::Unobservable),
        (Some(since), _) if since < GRACE => Fate::Drain(Why::Grace),
        (Some(since), Tasks::Some(_)) if since < DRAIN_LIMIT => Fate::Drain(Why::TasksLeft),
        (Some(_), Tasks::Some(_)) => Fate::Release(Why::DrainLimit),
        (Some(_), Tasks::None | Tasks::Unknown) => Fate::Release(Why::RemovedAndGracePassed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALIVE: Facts =
        Facts { pin: Pin::Held, source: Source::Present, tasks: Tasks::Some(3), gone_for: None, removed_for: None };
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn while_the_engine_holds_it_nothing_releases_it() {
        let removed =
            Facts { tasks: Tasks::None, removed_for: Some(DRAIN_LIMIT * 2), gone_for: Some(DRAIN_LIMIT), ..ALIVE };
        assert_eq!(evaluate(&removed), Fate::Keep(Why::EngineHoldsIt));
    }

    #[test]
    fn a_missing_pin_of_a_living_namespace_is_healed() {
        assert_eq!(evaluate(&Facts { pin: Pin::Missing, ..ALIVE }), Fate::Heal);
    }

    #[test]
    fn gone_and_empty_goes_at_once_without_stop_or_remove() {
        let facts = Facts { source: Source::Gone, tasks: Tasks::None, ..ALIVE };
        assert_eq!(evaluate(&facts), Fate::Release(Why::GoneAndEmpty));
        assert_eq!(evaluate(&Facts { pin: Pin::Missing, ..facts }), Fate::Release(Why::GoneAndEmpty));
        let in_use = Facts { pin: Pin::Missing, tasks: Tasks::Some(1), ..facts };
        assert_eq!(evaluate(&in_use), Fate::Drain(Why::TasksLeft), "it may be mounted elsewhere");
    }

    #[test]
    fn tasks_keep_it_up_to_the_drain_limit() {
        let gone = |gone_for| evaluate(&Facts { source: Source::Gone, gone_for, ..ALIVE });
        assert_eq!(gone(None), Fate::Drain(Why::TasksLeft));
        assert_eq!(gone(Some(DRAIN_LIMIT - SECOND)), Fate::Drain(Why::TasksLeft));
        assert_eq!(gone(Some(DRAIN_LIMIT)), Fate::Release(Why::DrainLimit));
    }

    #[test]
    fn unseen_tasks_cost_the_grace() {
        let gone = |gone_for| evaluate(&Facts { source: Source::Gone, tasks: Tasks::Unknown, gone_for, ..ALIVE });
        assert_eq!(gone(None), Fate::Drain(Why::Grace));
        assert_eq!(gone(Some(GRACE)), Fate::Release(Why::GoneAndGracePassed));
    }

    #[test]
    fn an_unobservable_one_needs_a_removal_and_the_grace_and_no_tasks() {
        let facts = Facts { source: Source::Unobservable, tasks: Tasks::None, ..ALIVE };
        let removed = |removed_for, tasks| evaluate(&Facts { removed_for, tasks, ..facts });
        assert_eq!(removed(None, Tasks::None), Fate::Keep(Why::Unobservable));
        assert_eq!(removed(Some(GRACE - SECOND), Tasks::None), Fate::Drain(Why::Grace));
        assert_eq!(removed(Some(GRACE), Tasks::Unknown), Fate::Release(Why::RemovedAndGracePassed));
        assert_eq!(removed(Some(GRACE), Tasks::Some(1)), Fate::Drain(Why::TasksLeft));
        assert_eq!(removed(Some(DRAIN_LIMIT), Tasks::Some(1)), Fate::Release(Why::DrainLimit));
    }

    #[test]
    fn what_is_not_berths_is_never_touched() {
        for source in [Source::Present, Source::Gone, Source::Unobservable] {
            let facts = Facts { pin: Pin::Foreign, source, removed_for: Some(DRAIN_LIMIT), ..ALIVE };
            assert_eq!(evaluate(&facts), Fate::Keep(Why::ForeignAtPath));
        }
    }

    fn any_facts() -> impl Strategy<Value = Facts> {
        let pin = prop_oneof![Just(Pin::Held), Just(Pin::Missing), Just(Pin::Foreign)];
        let source = prop_oneof![Just(Source::Present), Just(Source::Gone), Just(Source::Unobservable)];
        let tasks = prop_oneof![Just(Tasks::None), (1usize..9).prop_map(Tasks::Some), Just(Tasks::Unknown)];
        let age = || proptest::option::of((0u64..900).prop_map(Duration::from_secs));
        (pin, source, tasks, age(), age()).prop_map(|(pin, source, tasks, gone_for, removed_for)| Facts {
            pin,
            source,
            tasks,
            gone_for,
            removed_for,
        })
    }

    proptest! {
        /// Live: the engine holds it, or tasks are in it and the limit has not passed.
        #[test]
        fn a_live_pin_is_never_released(facts in any_facts()) {
            let engine_holds = facts.source == Source::Present;
            let longest = facts.gone_for.max(facts.removed_for).unwrap_or_default();
            let in_use = matches!(facts.tasks, Tasks::Some(_)) && longest < DRAIN_LIMIT;
            if engine_holds || in_use {
                prop_assert!(!matches!(evaluate(&facts), Fate::Release(_)), "{facts:?}");
            }
        }

        /// Dead: the engine has let go and nobody is in it. It goes at the latest when the grace has passed.
        #[test]
        fn a_dead_pin_does_not_stay(facts in any_facts()) {
            let facts = Facts { source: Source::Gone, tasks: Tasks::None, ..facts };
            if facts.pin != Pin::Foreign {
                prop_assert!(matches!(evaluate(&facts), Fate::Release(_)), "{facts:?}");
            }
        }

        /// Waiting never turns a release back into something else.
        #[test]
        fn time_only_moves_towards_release(facts in any_facts(), more in 0u64..900) {
            let later = |age: Option<Duration>| age.map(|age| age + Duration::from_secs(more));
            let after = Facts { gone_for: later(facts.gone_for), removed_for: later(facts.removed_for), ..facts };
            if let Fate::Release(_) = evaluate(&facts) {
                prop_assert!(matches!(evaluate(&after), Fate::Release(_)), "{facts:?} {after:?}");
            }
        }
    }
}
