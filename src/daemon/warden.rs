//! Watches over the pins: on every occasion it applies the lifecycle rule, and says what came of it.

use super::board::{Board, Notes};
use super::pulse::Pulse;
use super::watch::{Added, Noticed, Watch};
use crate::apply::{ApplyError, Keeper, Mode, Outcome, PinsBy, Settled, Settlement, Which};
use crate::door::count;
use crate::door::nri::NriDoor;
use crate::exit::chain;
use crate::ledger::STALE;
use crate::lifecycle::Why;
use crate::logging::Line;
use crate::metrics::table::{ORPHANS_REMOVED, PIN_FAILURES, PINS_HEALED};
use crate::pin::PinName;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch as flag;

/// What is said of a pin in whose place something else is.
const FOREIGN: &str =
    "something that berth did not make is in its place; remove it, and the pin is made again or its record goes";

/// How often everything is looked at, whatever was noticed.
const TICK: Duration = Duration::from_secs(60);

/// How often, while some directory cannot be watched.
const TICK_UNWATCHED: Duration = Duration::from_secs(5);

/// How often pins are looked at that will go: tasks end without telling. Ends that come faster are looked at together,
/// because each look reads all of `/proc`.
const TICK_DRAINING: Duration = Duration::from_secs(1);

/// How many new sources are watched before events are let in between.
const BATCH: usize = 64;

struct Warden {
    pulse: Arc<Pulse>,
    keeper: Keeper,
    door: Arc<NriDoor>,
    watch: Watch,
    /// Pins whose source was seen at its path by this process.
    seen: HashSet<PinName>,
    /// Pins that will go.
    draining: HashSet<PinName>,
    /// Pins whose end was noticed, still to be looked at.
    ended: HashSet<PinName>,
    /// Removals that could not be noted yet.
    removed: HashSet<PinName>,
    /// What has been complained of, and about which pin, so that it is not repeated at every look.
    complaints: HashSet<(Option<PinName>, String)>,
    /// The full list of pods has come at least once. Before, a pin without a record may be anybody's.
    caught_up: bool,
    next_full: Instant,
    next_drain: Instant,
}

enum Occasion {
    News(Notes),
    Noticed(Noticed),
    Tick,
}

/// Runs until `stopped` turns true.
pub(super) async fn run(
    keeper: Keeper,
    door: Arc<NriDoor>,
    board: Arc<Board>,
    pulse: Arc<Pulse>,
    mut stopped: flag::Receiver<bool>,
) {
    let now = Instant::now();
    let mut warden = Warden {
        pulse,
        keeper,
        door,
        watch: Watch::default(),
        seen: HashSet::new(),
        draining: HashSet::new(),
        ended: HashSet::new(),
        removed: HashSet::new(),
        complaints: HashSet::new(),
        caught_up: false,
        next_full: now,
        next_drain: now,
    };
    loop {
        let tick = warden.next_tick();
        let occasion = tokio::select! {
            _ = stopped.changed() => return,
            notes = board.take() => Occasion::News(notes),
            noticed = warden.watch.next() => Occasion::Noticed(noticed),
            () = tokio::time::sleep_until(tick.into()) => Occasion::Tick,
        };
        warden.pulse.beat();
        warden.on(occasion).await;
        warden.pulse.beat();
    }
}

impl Warden {
    /// When to look without having been told to. Other occasions do not put it off.
    fn next_tick(&self) -> Instant {
        let busy = !self.draining.is_empty() || !self.ended.is_empty() || !self.removed.is_empty();
        if busy { self.next_full.min(self.next_drain) } else { self.next_full }
    }

    async fn on(&mut self, occasion: Occasion) {
        match occasion {
            Occasion::News(notes) => self.on_news(notes).await,
            Occasion::Noticed(noticed) if noticed.anything => self.look(None).await,
            Occasion::Noticed(noticed) => self.end(noticed.names).await,
            Occasion::Tick if Instant::now() >= self.next_full => self.look(None).await,
            Occasion::Tick => {
                self.drain().await;
                self.next_drain = Instant::now() + TICK_DRAINING;
            }
        }
    }

    /// Looks at pins whose end was noticed: now, or together with those that are noticed
    /// meanwhile where all tasks were looked at a moment ago.
    async fn end(&mut self, names: HashSet<PinName>) {
        self.ended.extend(names);
        if Instant::now() >= self.next_drain {
            self.drain().await;
        }
    }

    async fn drain(&mut self) {
        let ended = std::mem::take(&mut self.ended);
        self.look(Some(self.draining.union(&ended).cloned().collect())).await;
    }

    async fn on_news(&mut self, notes: Notes) {
        // Answers that are due go out first.
        tokio::task::yield_now().await;
        self.removed.extend(notes.removed);
        let mut dirty = notes.dirty;
        for (at, (name, source)) in notes.sources.into_iter().enumerate() {
            if at % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
            dirty.extend(self.watch(&name, &source));
        }
        match notes.synchronized {
            Some(pods) => self.catch_up(pods).await,
            None if dirty.is_empty() => {}
            None => self.end(dirty).await,
        }
    }

    /// Watches a source that was there; gives the name back if it went before it was watched.
    fn watch(&mut self, name: &PinName, source: &Path) -> Option<PinName> {
        match self.watch.add(name, source) {
            Added::Already => return None,
            Added::Now => {}
            Added::Unwatched => self.next_full = self.next_full.min(Instant::now() + TICK_UNWATCHED),
        }
        if std::fs::symlink_metadata(source).is_ok() {
            self.seen.insert(name.clone());
            return None;
        }
        Some(name.clone())
    }

    /// What Synchronize asks for: pods that run are pinned, then everything is looked at. A pin whose pod is not among
    /// `pods`, and whose end cannot be seen, is noted as removed: nobody else will say so any more.
    async fn catch_up(&mut self, pods: HashSet<PinName>) {
        let started = Instant::now();
        let (caught_up, scope) = (self.door.catch_up(|| self.pulse.beat()).await, self.door.scope());
        let (keeper, seen) = (self.keeper.clone(), self.seen.clone());
        let missing = tokio::task::spawn_blocking(move || keeper.unobservable_and_absent(&scope, &pods, &seen)).await;
        match missing {
            Ok(Ok(missing)) => self.removed.extend(missing),
            Ok(Err(error)) => self.complain(None, chain(&error)),
            Err(error) => self.complain(None, error.to_string()),
        }
        self.caught_up = true;
        self.look(None).await;
        let line = Line::event("CatchUp").with("pinned", caught_up.pinned).with("stopped", caught_up.stopped);
        log::info!("{}", line.with("failed", caught_up.failed).with("us", started.elapsed().as_micros()));
    }

    /// Everything that is kept here of pins.
    fn known(&self) -> HashSet<PinName> {
        let watched = self.watch.names();
        self.seen.iter().chain(&self.draining).chain(&self.ended).chain(watched).cloned().collect()
    }

    /// One pass over `names`, or over everything, which is the turn of all whose end was noticed, too: full passes can come
    /// faster than there are others.
    async fn look(&mut self, names: Option<HashSet<PinName>>) {
        let (all, everything) = (names.is_none(), self.caught_up);
        let known = if all { self.known() } else { HashSet::new() };
        let ended = if all { std::mem::take(&mut self.ended) } else { HashSet::new() };
        let (keeper, sight, pins_by) = (self.keeper.clone(), self.door.sight(), self.door.pins_by());
        let (mut seen, removed) = (std::mem::take(&mut self.seen), self.removed.clone());
        let pass = tokio::task::spawn_blocking(move || {
            let mut complaints = Vec::new();
            let unmarked = mark(&keeper, removed, &mut complaints);
            if all && let Err(error) = keeper.ledger.sweep(STALE) {
                complaints.push((None, error.into()));
            }
            let names: Option<Vec<_>> = names.map(|names| names.into_iter().collect());
            let full = if everything { Which::All } else { Which::Recorded };
            let which = names.as_deref().map_or(full, Which::These);
            let mut settlement = match pins_by {
                PinsBy::Daemon => keeper.settle(which, &sight, Mode::Apply, &mut seen),
                PinsBy::Interposers => keeper.mark_ends(which, &mut seen),
            };
            settlement.errors.append(&mut complaints);
            // What another berth has released is in no list.
            settlement.absent.extend(keeper.unrecorded(known, &settlement.settled));
            (settlement, seen, unmarked)
        });
        if all {
            // Before its outcome is noted, which may ask for the next one earlier.
            self.next_full = Instant::now() + TICK;
        }
        match pass.await {
            Ok((settlement, seen, unmarked)) => {
                (self.seen, self.removed) = (seen, unmarked);
                if settlement.scanned {
                    self.next_drain = Instant::now() + TICK_DRAINING;
                }
                let late = self.note(settlement, all);
                self.draining.extend(late);
            }
            Err(error) => {
                self.ended.extend(ended);
                self.complain(None, format!("a pass over the pins ended early: {error}"));
            }
        }
    }

    /// Says what stands in the way, once, and counts it as a failure.
    fn complain(&mut self, about: Option<PinName>, text: String) {
        if self.say(about, text) {
            PIN_FAILURES.count(&["settle"]);
        }
    }

    /// Says what stands in the way; `false` if that was said before.
    fn say(&mut self, about: Option<PinName>, text: String) -> bool {
        let complaint = (about, text);
        if self.complaints.contains(&complaint) {
            return false;
        }
        let line = Line::message("a pin could not be settled");
        let line = complaint.0.iter().fold(line, |line, name| line.with("pin", name));
        log::warn!("{}", line.with("error", &complaint.1));
        self.complaints.insert(complaint)
    }

    /// Says what came of a pass. Returns pins whose source went between the pass and the watch.
    fn note(&mut self, settlement: Settlement, all: bool) -> Vec<PinName> {
        let errors: HashMap<_, _> = settlement
            .errors
            .iter()
            .map(|(about, error)| ((about.clone(), chain(error)), error.is_newer_record()))
            .collect();
        if all {
            self.complaints.retain(|complaint| errors.contains_key(complaint) || complaint.1 == FOREIGN);
        }
        for ((about, text), newer) in errors {
            match newer {
                // Left to the berth that wrote it, which is no failure of this one.
                true => drop(self.say(about, text)),
                false => self.complain(about, text),
            }
        }
        self.draining.extend(settlement.busy);
        let released = settlement.settled.iter().filter(|settled| self.is_over(settled.outcome));
        let gone: Vec<_> = released.map(|settled| settled.name.clone()).chain(settlement.absent).collect();
        let marked: HashSet<_> = settlement.marked.into_iter().collect();
        let note = |settled: &Settled| self.note_one(settled, marked.contains(&settled.name));
        let late = settlement.settled.iter().filter_map(note).collect();
        for name in &gone {
            self.draining.remove(name);
            self.seen.remove(name);
            self.watch.forget(name);
            self.complaints.retain(|(about, _)| about.as_ref() != Some(name));
        }
        self.door.forget(&gone);
        late
    }

    /// There is nothing left for this process to do for the pin.
    fn is_over(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Released(_) => true,
            Outcome::Draining(_) => self.door.pins_by() == PinsBy::Interposers,
            Outcome::Kept(_) | Outcome::Healed => false,
        }
    }

    /// `marked`: its record says since this pass that it is to go.
    fn note_one(&mut self, settled: &Settled, marked: bool) -> Option<PinName> {
        let Settled { name, record, outcome, .. } = settled;
        let was_draining = self.draining.remove(name);
        let line = |event| {
            let line = Line::event(event).with("pin", name);
            let pod = record.as_ref().map(|record| format!("{}/{}", record.pod.namespace, record.pod.name));
            pod.iter().fold(line, |line, pod| line.with("pod", pod))
        };
        match outcome {
            Outcome::Kept(Why::ForeignAtPath) => self.complain(Some(name.clone()), FOREIGN.to_owned()),
            Outcome::Kept(_) => self.complaints.retain(|(about, text)| about.as_ref() != Some(name) || text != FOREIGN),
            Outcome::Healed => {
                PINS_HEALED.count(&[]);
                log::warn!("{}", line("Heal").with("why", "the pin was missing, the engine's file is there"));
            }
            Outcome::Draining(_) if self.door.pins_by() == PinsBy::Interposers => {
                if marked {
                    let next = "the next creation by an interposer, or `berth gc` on the node, removes it";
                    log::info!("{}", line("Mark").with("effect", next));
                }
                return None;
            }
            Outcome::Draining(why) => {
                self.draining.insert(name.clone());
                if !was_draining {
                    log::info!("{}", line("Drain").with("why", why.as_str()));
                }
                return None;
            }
            Outcome::Released(why) => {
                let total = count::released(*why);
                if record.is_none() {
                    ORPHANS_REMOVED.count(&[]);
                }
                let line = line("Release").with("why", why.as_str());
                if *why == Why::DrainLimit {
                    log::warn!("{}", line.with("total", total));
                } else {
                    log::info!("{line}");
                }
                return None;
            }
        }
        record.as_ref().and_then(|record| self.watch(name, &record.source.path))
    }
}

/// Notes removals; returns those that have to be tried again.
fn mark(
    keeper: &Keeper,
    removed: HashSet<PinName>,
    complaints: &mut Vec<(Option<PinName>, ApplyError)>,
) -> HashSet<PinName> {
    let mut again = HashSet::new();
    for name in removed {
        if let Err(error) = keeper.mark_removed(&name, Duration::ZERO) {
            if !error.is_busy() {
                complaints.push((Some(name.clone()), error));
            }
            again.insert(name);
        }
    }
    again
}
