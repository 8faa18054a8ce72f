//! What is going to happen on a node, made from a number alone: the same seed and the same lane are the same plan.

use std::ops::Range;

/// Who has a part in a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The plugin alone.
    Plugin,
    /// An interposer too, which the engine runs first.
    Interposer,
}

/// Microseconds into what is killed then.
pub(crate) type Moment = u32;

/// One thing that happens. Pods are numbered in the order in which they are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The engine runs a pod. `heard`: the plugin is told. With `killed` it is the interposer that is killed, and the engine
    /// gives the pod up.
    Run { pod: usize, by: By, heard: bool, killed: Option<Moment> },
    /// A container of it is created.
    Container { pod: usize, by: By, killed: Option<Moment> },
    /// Its sandbox's process is killed. The engine knows nothing of that, and keeps the network.
    SandboxDies { pod: usize },
    /// It is stopped, for the first time or again. `lingers`: its process outlives that.
    Stop { pod: usize, heard: bool, lingers: bool },
    /// It is removed, stopped before or not, for the first time or again.
    Remove { pod: usize, heard: bool },
    /// An administrator's `berth gc`.
    Collect { killed: Option<Moment> },
    /// The daemon is killed, so long into what comes next.
    KillDaemon { after: Moment },
    /// The daemon is told to end, so long into what comes next.
    EndDaemon { after: Moment },
    /// It is started again.
    StartDaemon,
    /// The engine goes away, killed or told to end, so long into what comes next. Its pods stay.
    EngineGoes { after: Moment, killed: bool },
    /// It comes back.
    EngineReturns,
    /// Nothing more happens until all is settled: then nothing may be left of the pods that are over.
    Rest,
}

impl Action {
    /// Whose action it is, if it is one pod's.
    pub(crate) fn pod(self) -> Option<usize> {
        match self {
            Self::Run { pod, .. }
            | Self::Container { pod, .. }
            | Self::SandboxDies { pod }
            | Self::Stop { pod, .. }
            | Self::Remove { pod, .. } => Some(pod),
            _ => None,
        }
    }
}

/// What kind of plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lane {
    /// How many pods.
    pub(crate) pods: usize,
    /// How many of them at a time.
    pub(crate) at_once: usize,
    /// The daemon is killed and ended too.
    pub(crate) daemon_dies: bool,
    /// Of a hundred actions, how many come with something that happens to the node.
    pub(crate) troubles: u64,
    /// Of a hundred events, how many the engine does not relay though the plugin is there.
    pub(crate) unheard: u64,
    /// An interposer is killed before it has run for so long.
    pub(crate) short: Moment,
    /// A daemon, or an engine, goes before so long of what comes next.
    pub(crate) long: Moment,
}

/// Rests in a plan; the last one is its end.
pub(crate) const TENTHS: usize = 10;
/// Pods that are there from the beginning to the end.
pub(crate) const ELDERS: usize = 3;

/// SplitMix64 (Steele, Lea and Flood, 2014): all that is asked of it is to be the same everywhere.
#[derive(Debug)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }

    fn moment(&mut self, end: Moment) -> Moment {
        Moment::try_from(self.next() % u64::from(end)).unwrap()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running { process: bool },
    Lingering,
    Stopped,
    Removed,
}

#[derive(Debug)]
struct Known {
    pod: usize,
    by: By,
    state: State,
}

#[derive(Debug)]
struct Planner<'a> {
    lane: &'a Lane,
    numbers: Numbers,
    plan: Vec<Action>,
    /// Pods that something can still happen to, the elders first.
    known: Vec<Known>,
    born: usize,
    /// What ends the node's present trouble, and in how many actions.
    absent: Option<(Action, usize)>,
}

/// All that happens, in this order. Pure.
pub(crate) fn plan(seed: u64, lane: &Lane) -> Vec<Action> {
    let mut planner =
        Planner { lane, numbers: Numbers(seed), plan: Vec::new(), known: Vec::new(), born: 0, absent: None };
    for tenth in 1..=TENTHS {
        while planner.born < lane.pods * tenth / TENTHS {
            planner.step();
        }
        planner.end(if tenth == TENTHS { 0 } else { ELDERS });
        planner.plan.push(Action::Rest);
    }
    planner.plan
}

impl Planner<'_> {
    fn step(&mut self) {
        self.trouble();
        let room = self.known.len() < self.lane.at_once.max(ELDERS + 1);
        if self.born < ELDERS || (room && (self.known.len() == ELDERS || self.numbers.percent(40))) {
            self.run();
        } else {
            let at = self.pick();
            self.act(at);
        }
    }

    /// One of those that are known, and not too often an elder.
    fn pick(&mut self) -> usize {
        let others = self.known.len() - ELDERS;
        if others == 0 || self.numbers.percent(10) {
            self.numbers.below(ELDERS)
        } else {
            ELDERS + self.numbers.below(others)
        }
    }

    /// Something happens to the node, or is over.
    fn trouble(&mut self) {
        match &mut self.absent {
            Some((back, 0)) => {
                self.plan.push(*back);
                self.absent = None;
            }
            Some((_, left)) => *left -= 1,
            None if self.born > ELDERS && self.numbers.percent(self.lane.troubles) => self.begin_trouble(),
            None => {}
        }
    }

    fn begin_trouble(&mut self) {
        let after = self.numbers.moment(self.lane.long);
        let kinds = if self.lane.daemon_dies { 6 } else { 3 };
        let (first, back) = match self.numbers.below(kinds) {
            0 | 1 => {
                let killed = self.numbers.percent(50).then(|| self.kill());
                return self.plan.push(Action::Collect { killed });
            }
            2 => (Action::EngineGoes { after, killed: self.numbers.percent(50) }, Action::EngineReturns),
            3 => (Action::EndDaemon { after }, Action::StartDaemon),
            _ => (Action::KillDaemon { after }, Action::StartDaemon),
        };
        self.plan.push(first);
        self.absent = Some((back, self.numbers.below(12)));
    }

    fn run(&mut self) {
        let (pod, elder) = (self.born, self.born < ELDERS);
        self.born += 1;
        let by = if self.numbers.percent(25) { By::Interposer } else { By::Plugin };
        let heard = elder || !self.numbers.percent(self.lane.unheard);
        let killed = (by == By::Interposer && !elder && self.numbers.percent(15)).then(|| self.kill());
        self.plan.push(Action::Run { pod, by, heard, killed });
        if killed.is_none() {
            self.known.push(Known { pod, by, state: State::Running { process: true } });
        }
    }

    fn kill(&mut self) -> Moment {
        self.numbers.moment(self.lane.short)
    }

    /// Something happens to a pod.
    fn act(&mut self, at: usize) {
        let Known { pod, by, state } = self.known[at];
        let heard = !self.numbers.percent(self.lane.unheard);
        let dice = if at < ELDERS { 0 } else { self.numbers.below(10) };
        let (action, next) = match (state, dice) {
            (State::Running { .. }, 0..4) => {
                let killed = (by == By::Interposer && self.numbers.percent(15)).then(|| self.kill());
                (Action::Container { pod, by, killed }, Some(state))
            }
            (State::Running { process: true }, 4) => {
                (Action::SandboxDies { pod }, Some(State::Running { process: false }))
            }
            (State::Running { process }, 4..8) => {
                let lingers = process && self.numbers.percent(15);
                let next = if lingers { State::Lingering } else { State::Stopped };
                (Action::Stop { pod, heard, lingers }, Some(next))
            }
            (State::Running { .. }, _) => (Action::Remove { pod, heard }, Some(State::Removed)),
            (State::Lingering, 0..5) => (Action::Stop { pod, heard, lingers: true }, Some(state)),
            (State::Lingering, _) => (Action::SandboxDies { pod }, Some(State::Stopped)),
            (State::Stopped, 0..4) => (Action::Stop { pod, heard, lingers: false }, Some(state)),
            (State::Stopped, 4..7) => (Action::Remove { pod, heard }, Some(State::Removed)),
            (State::Removed, 0..3) => (Action::Remove { pod, heard }, None),
            // Nobody ever speaks of it again.
            (State::Stopped | State::Removed, _) => {
                self.known.remove(at);
                return;
            }
        };
        self.plan.push(action);
        match next {
            Some(state) => self.known[at].state = state,
            None => drop(self.known.remove(at)),
        }
    }

    /// All trouble is over, and all pods but the first `stay`.
    fn end(&mut self, stay: usize) {
        if let Some((back, _)) = self.absent.take() {
            self.plan.push(back);
        }
        let stay = stay.min(self.known.len());
        for Known { pod, state, .. } in self.known.split_off(stay) {
            match state {
                State::Running { .. } if pod % 2 == 0 => self.plan.push(Action::Remove { pod, heard: true }),
                State::Running { .. } => self.plan.push(Action::Stop { pod, heard: true, lingers: false }),
                State::Lingering => self.plan.push(Action::SandboxDies { pod }),
                State::Stopped | State::Removed => {}
            }
        }
    }
}

/// The plan in pieces: actions of different pods that follow each other, up to `width` of them, happen at the same time.
pub(crate) fn bursts(plan: &[Action], width: usize) -> Vec<Range<usize>> {
    let mut bursts: Vec<Range<usize>> = Vec::new();
    for (at, action) in plan.iter().enumerate() {
        let joins = |burst: &&mut Range<usize>| {
            let own = action.pod();
            let others = plan[(*burst).clone()].iter().map(|other| other.pod());
            own.is_some() && burst.len() < width && others.into_iter().all(|pod| pod.is_some() && pod != own)
        };
        match bursts.last_mut().filter(joins) {
            Some(burst) => burst.end = at + 1,
            None => bursts.push(at..at + 1),
        }
    }
    bursts
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: Lane =
        Lane { pods: 500, at_once: 16, daemon_dies: true, troubles: 4, unheard: 8, short: 6_000, long: 20_000 };

    #[test]
    fn a_seed_is_a_plan_in_which_every_kind_of_thing_happens_and_every_pod_ends() {
        let first = plan(7, &LANE);
        assert_eq!(first, plan(7, &LANE));
        assert_ne!(first, plan(8, &LANE));
        let runs = first.iter().filter(|action| matches!(action, Action::Run { .. }));
        assert_eq!(runs.count(), LANE.pods);
        assert_eq!(first.iter().filter(|action| **action == Action::Rest).count(), TENTHS);
        let ended = |pod: usize| {
            let last = first.iter().rev().find(|action| action.pod() == Some(pod)).unwrap();
            !matches!(last, Action::Container { .. } | Action::Run { killed: None, .. })
        };
        assert!((0..LANE.pods).all(ended));
        let kinds: [fn(&Action) -> bool; 12] = [
            |action| matches!(action, Action::Run { killed: Some(_), .. }),
            |action| matches!(action, Action::Run { heard: false, .. }),
            |action| matches!(action, Action::Container { killed: Some(_), .. }),
            |action| matches!(action, Action::Container { by: By::Plugin, .. }),
            |action| matches!(action, Action::SandboxDies { .. }),
            |action| matches!(action, Action::Stop { lingers: true, .. }),
            |action| matches!(action, Action::Remove { heard: false, .. }),
            |action| matches!(action, Action::Collect { killed: Some(_) }),
            |action| matches!(action, Action::KillDaemon { .. }),
            |action| matches!(action, Action::EndDaemon { .. }),
            |action| matches!(action, Action::EngineGoes { killed: true, .. }),
            |action| matches!(action, Action::EngineReturns),
        ];
        for (at, kind) in kinds.iter().enumerate() {
            assert!(first.iter().any(kind), "kind {at} never happens");
        }
    }

    #[test]
    fn what_happens_at_the_same_time_is_of_different_pods() {
        let plan = plan(7, &LANE);
        let bursts = bursts(&plan, 4);
        assert_eq!(bursts.iter().map(Range::len).sum::<usize>(), plan.len());
        assert!(bursts.iter().any(|burst| burst.len() == 4));
        for burst in bursts {
            let mut pods: Vec<_> = plan[burst.clone()].iter().map(|action| action.pod()).collect();
            assert!(pods.len() == 1 || pods.iter().all(Option::is_some), "{burst:?}");
            pods.sort();
            pods.dedup();
            assert_eq!(pods.len(), burst.len());
        }
    }
}
