//! What is done before a creation is handed on: the work, its line in the log, its counts, and the failure policy.

use super::act::Asked;
use super::argv::Create;
use super::occasion;
use super::report::Failure;
use super::setup::{self, Node, Places};
use crate::config::Config;
use crate::decide::policy::OnFailure;
use crate::decide::verdict::{Reason, Verdict};
use crate::door::count;
use crate::door::said::said;
use crate::exit::chain;
use crate::logging::{self, Line};
use crate::metrics::{self, Outcome};
use crate::oci::Bundle;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The log of interposers, in the state directory.
const LOG: &str = "interpose.log";

/// What all interposers have counted together, in the state directory.
pub const COUNTS: &str = "interpose.counts";

/// How long a creation may wait to be counted.
const COUNT_PATIENCE: Duration = Duration::from_millis(5);

const ADVICE: &str =
    "(the profile says onFailure: Fail; repair the cause, or Ignore to run such containers unadjusted)";

/// Does what there is to do for a creation. `Err` is what the engine is told instead of it.
pub(super) fn prepare(name: &str, create: &Create, config: &Config, places: Places) -> Result<(), String> {
    let started = Instant::now();
    let entry = setup::entry(config, name);
    // Until it is known whose the container is; then that profile's word counts.
    let Some(mut policy) = setup::strictest(&config.policy, entry) else { return Ok(()) };
    let book = Book::of(&places);
    let asked = Asked { config, grammar: setup::grammar(entry, name), entry, create };
    let Some(result) = work(&asked, places, &book, &mut policy).transpose() else { return Ok(()) };
    let line = Line::event("Create").with("as", name).with("id", &create.id);
    let outcome = outcome(&result);
    let (level, line, answer) = conclude(result, policy, line);
    metrics::request(metrics::table::CREATE, outcome, started.elapsed());
    book.note(level, &line.with("us", started.elapsed().as_micros()));
    book.count();
    answer
}

/// The way of one bundle. `Ok(None)`: it has no specification, and the delegate says best what it makes of that. `policy`
/// is what its profile wants on a failure, from when that is known.
fn work(asked: &Asked<'_>, places: Places, book: &Book, policy: &mut OnFailure) -> Result<Option<Verdict>, Failure> {
    // By its full path, for the sentence that may have to be said.
    let dir = std::path::absolute(&asked.create.bundle).unwrap_or_else(|_| asked.create.bundle.clone());
    let Some(bundle) = Bundle::open(&dir)? else { return Ok(None) };
    let spec = bundle.scan()?;
    let who = asked.who(&spec)?;
    let Some(profile) = asked.profile(&who) else { return Ok(Some(Verdict::Leave(Reason::NotSelected))) };
    *policy = profile.on_failure;
    let node = Node::open(places)?;
    for line in occasion::settle(&node.keeper, &node.sight, asked.own_pin().as_ref()) {
        book.note(log::Level::Info, &line);
    }
    let examined = asked.examine(&node, &spec, who, Some(profile));
    asked.act(&node, &bundle, &spec, examined, |line| book.note(log::Level::Warn, line)).map(Some)
}

fn outcome(result: &Result<Verdict, Failure>) -> Outcome {
    match result {
        Ok(_) => Outcome::Ok,
        Err(Failure::Refused(_)) => Outcome::Refused,
        Err(_) => Outcome::Failed,
    }
}

/// Counts what came of it, and lets the failure policy speak: the line for the log, and the answer.
fn conclude(result: Result<Verdict, Failure>, policy: OnFailure, line: Line) -> (log::Level, Line, Result<(), String>) {
    match result {
        Ok(verdict) => {
            count::verdict(&verdict);
            (log::Level::Info, told(line, &verdict), Ok(()))
        }
        Err(Failure::Refused(refusal)) => {
            let cause = refusal.to_string();
            let verdict = Verdict::Refuse(refusal);
            count::verdict(&verdict);
            (log::Level::Error, told(line, &verdict).with("error", &cause), Err(cause))
        }
        Err(failure) => {
            let cause = chain(&failure);
            let (word, answer) = match (failure.can_be_ignored(), policy) {
                (true, OnFailure::Ignore) => ("leave", Ok(())),
                (true, OnFailure::Fail) => ("refuse", Err(format!("{cause} {ADVICE}"))),
                (false, _) => ("refuse", Err(cause.clone())),
            };
            count::failure(if answer.is_ok() { OnFailure::Ignore } else { OnFailure::Fail });
            (log::Level::Error, line.with("verdict", word).with("reason", "failed").with("error", cause), answer)
        }
    }
}

/// With what only an interposer says there.
fn told(line: Line, verdict: &Verdict) -> Line {
    let line = said(line, verdict);
    if matches!(verdict, Verdict::Adjust(plan) if plan.stray) { line.with("stray", true) } else { line }
}

/// Where interposers leave what they did, if nobody else can write there. Nobody is there to be told that it cannot be
/// written, and no container depends on it.
struct Book {
    log: PathBuf,
    counts: PathBuf,
    dir: PathBuf,
}

impl Book {
    fn of(places: &Places) -> Self {
        let dir = places.state_dir.clone();
        Self { log: dir.join(LOG), counts: dir.join(COUNTS), dir }
    }

    /// At the end: the first creation makes the directory.
    fn is_safe(&self) -> bool {
        crate::ledger::check_owner(&self.dir).is_ok()
    }

    fn note(&self, level: log::Level, line: &Line) {
        if self.is_safe() {
            logging::append(&self.log, level, line).unwrap_or_default();
        }
    }

    fn count(&self) {
        if self.is_safe() {
            metrics::add_to(&self.counts, COUNT_PATIENCE).map(drop).unwrap_or_default();
        }
    }
}
