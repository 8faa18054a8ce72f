//! Watches over the pins: on every occasion it applies the lifecycle rule, and says what came of it.

use super::board::{Board, Notes};
use super::watch::{Noticed, Watch};
use crate::apply::{Keeper, Mode, Outcome, Settled, Settlement, Which};
use crate::door::nri::NriDoor;
use crate::exit::chain;
use crate::lifecycle::Why;
use crate::logging::Line;
use crate::metrics;
use crate::pin::PinName;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch as flag;

/// How often everything is looked at, whatever was noticed.
const TICK: Duration = Duration::from_secs(60);

/// How often, while some directory cannot be watched.
const TICK_UNWATCHED: Duration = Duration::from_secs(5);

/// How often pins are looked at that will go: tasks end without telling.
const TICK_DRAINING: Duration = Duration::from_secs(1);

/// Temporary files this old belong to writers that were killed.
const STALE: Duration = Duration::from_secs(60);

struct Warden {
    keeper: Keeper,
    door: Arc<NriDoor>,
    watch: Watch,
    /// Pins whose source was seen at its path by this process.
    seen: HashSet<PinName>,
    /// Pins that will go.
    draining: HashSet<PinName>,
    /// The last complaint about a pin (or about none), so that it is not repeated at every look.
    complaints: HashMap<Option<PinName>, String>,
    unwatched: bool,
}

enum Occasion {
    News(Notes),
    Noticed(Noticed),
    Tick,
}

/// Runs until `stopped` turns true.
pub(super) async fn run(keeper: Keeper, door: Arc<NriDoor>, board: Arc<Board>, mut stopped: flag::Receiver<bool>) {
    let mut warden = Warden {
        keeper,
        door,
        watch: Watch::default(),
        seen: HashSet::new(),
        draining: HashSet::new(),
        complaints: HashMap::new(),
        unwatched: false,
    };
    warden.look(None).await;
    loop {
        let tick = warden.tick();
        let occasion = tokio::select! {
            _ = stopped.changed() => return,
            notes = board.take() => Occasion::News(notes),
            noticed = warden.watch.next() => Occasion::Noticed(noticed),
            () = tokio::time::sleep(tick) => Occasion::Tick,
        };
        warden.on(occasion).await;
    }
}

impl Warden {
    fn tick(&self) -> Duration {
        match () {
            () if !self.draining.is_empty() => TICK_DRAINING,
            () if self.unwatched => TICK_UNWATCHED,
            () => TICK,
        }
    }

    async fn on(&mut self, occasion: Occasion) {
        match occasion {
            Occasion::News(mut notes) => {
                // Answers that are due go out first.
                tokio::task::yield_now().await;
                for (name, source) in notes.sources {
                    self.unwatched |= !self.watch.add(&name, &source);
                    // It may have gone before it was watched.
                    let there = std::fs::symlink_metadata(&source).is_ok();
                    (if there { &mut self.seen } else { &mut notes.dirty }).insert(name);
                }
                if notes.synchronized {
                    self.catch_up().await;
                } else if !notes.dirty.is_empty() {
                    self.look(Some(notes.dirty)).await;
                }
            }
            Occasion::Noticed(noticed) if noticed.anything => self.look(None).await,
            Occasion::Noticed(noticed) => self.look(Some(noticed.names)).await,
            Occasion::Tick if self.draining.is_empty() => self.look(None).await,
            Occasion::Tick => self.look(Some(self.draining.clone())).await,
        }
    }

    /// What Synchronize asks for: pods that run are pinned, and then everything is looked at.
    async fn catch_up(&mut self) {
        let started = Instant::now();
        let caught_up = self.door.catch_up().await;
        self.look(None).await;
        let line = Line::event("CatchUp").with("pinned", caught_up.pinned).with("stopped", caught_up.stopped);
        log::info!("{}", line.with("failed", caught_up.failed).with("us", started.elapsed().as_micros()));
    }

    /// One pass over `names`, or over everything.
    async fn look(&mut self, names: Option<HashSet<PinName>>) {
        let (keeper, sight, mut seen) = (self.keeper.clone(), self.door.sight(), std::mem::take(&mut self.seen));
        let all = names.is_none();
        let pass = tokio::task::spawn_blocking(move || {
            let names: Option<Vec<_>> = names.map(|names| names.into_iter().collect());
            let which = names.as_deref().map_or(Which::All, Which::These);
            if all && let Err(error) = keeper.ledger.sweep(STALE) {
                log::warn!("{}", Line::message("temporary files of killed writers stay").with("error", chain(&error)));
            }
            let settlement = keeper.settle(which, &sight, Mode::Apply, &mut seen);
            (settlement, seen)
        });
        match pass.await {
            Ok((settlement, seen)) => {
                self.seen = seen;
                self.note(settlement, all);
            }
            Err(error) => log::error!("{}", Line::message("a pass over the pins ended early").with("error", error)),
        }
    }

    fn note(&mut self, settlement: Settlement, all: bool) {
        if all {
            self.unwatched = false;
            self.complaints.retain(|name, _| settlement.errors.iter().any(|(about, _)| about == name));
        }
        for (about, error) in &settlement.errors {
            let text = chain(error);
            if self.complaints.insert(about.clone(), text.clone()).as_ref() != Some(&text) {
                let line = Line::message("a pin could not be settled");
                let line = about.iter().fold(line, |line, name| line.with("pin", name));
                log::warn!("{}", line.with("error", text));
            }
        }
        self.draining.extend(settlement.busy);
        let mut released = Vec::new();
        for settled in &settlement.settled {
            self.note_one(settled);
            if matches!(settled.outcome, Outcome::Released(_)) {
                released.push(&settled.name);
            }
        }
        self.door.forget(released);
    }

    fn note_one(&mut self, settled: &Settled) {
        let Settled { name, record, outcome } = settled;
        let was_draining = self.draining.remove(name);
        let line = |event| {
            let line = Line::event(event).with("pin", name);
            record.iter().fold(line, |line, record| {
                line.with("pod", format_args!("{}/{}", record.pod.namespace, record.pod.name))
            })
        };
        match outcome {
            Outcome::Kept(_) | Outcome::Healed => {
                if let Some(record) = record {
                    self.unwatched |= !self.watch.add(name, &record.source.path);
                }
                if *outcome == Outcome::Healed {
                    metrics::HEALED.count();
                    log::warn!("{}", line("Heal").with("why", "the pin was missing, the engine's file is there"));
                }
            }
            Outcome::Draining(why) => {
                self.draining.insert(name.clone());
                if !was_draining {
                    log::info!("{}", line("Drain").with("why", why.as_str()));
                }
            }
            Outcome::Released(why) => {
                metrics::RELEASED.count();
                self.watch.forget(name);
                let line = line("Release").with("why", why.as_str());
                if *why == Why::DrainLimit {
                    log::warn!("{}", line.with("total", metrics::DRAIN_LIMIT.count()));
                } else {
                    log::info!("{line}");
                }
            }
        }
    }
}
