//! What is done before a creation is handed on: the work, its line in the log, its counts, and the failure policy.

use super::act::{Asked, words};
use super::argv::Create;
use super::name::Grammar;
use super::occasion;
use super::report::Failure;
use super::setup::{self, Node, Places};
use crate::config::{Config, Interposer};
use crate::decide::policy::OnFailure;
use crate::decide::verdict::Verdict;
use crate::door::count;
use crate::exit::chain;
use crate::logging::{self, Line};
use crate::metrics;
use crate::oci::Bundle;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The log of interposers, in the state directory.
const LOG: &str = "interpose.log";

/// What all interposers have counted together, in the state directory.
const COUNTS: &str = "interpose.counts";

/// How long a creation may wait to be counted.
const COUNT_PATIENCE: Duration = Duration::from_millis(5);

const ADVICE: &str =
    "(the profile says onFailure: Fail; repair the cause, or Ignore to run such containers unadjusted)";

/// Does what there is to do for a creation. `Err` is what the engine is told instead of it.
pub(super) fn prepare(name: &str, create: &Create, config: Config, places: Places) -> Result<(), String> {
    let started = Instant::now();
    let entry = setup::entry(&config, name).cloned();
    let Some(policy) = setup::profile(&config.policy, entry.as_ref(), None).map(|profile| profile.on_failure) else {
        return Ok(());
    };
    let book = Book::of(&places);
    let grammar = setup::grammar(entry.as_ref(), name);
    let Some(result) = work(create, grammar, entry.as_ref(), config, places, &book).transpose() else {
        return Ok(());
    };
    let line = Line::event("Create").with("as", name).with("id", &create.id);
    let (level, line, answer) = conclude(result, policy, line);
    book.note(level, &line.with("us", started.elapsed().as_micros()));
    book.count();
    answer
}

/// The way of one bundle. `Ok(None)`: it has no specification, and the delegate says best what it makes of that.
fn work(
    create: &Create,
    grammar: Grammar,
    entry: Option<&Interposer>,
    config: Config,
    places: Places,
    book: &Book,
) -> Result<Option<Verdict>, Failure> {
    // By its full path, for the sentence that may have to be said.
    let dir = std::path::absolute(&create.bundle).unwrap_or_else(|_| create.bundle.clone());
    let Some(bundle) = Bundle::open(&dir)? else { return Ok(None) };
    let spec = bundle.scan()?;
    let node = Node::open(config, places)?;
    let asked = Asked { node: &node, grammar, entry, create };
    if let Some(keeper) = &node.keeper {
        for line in occasion::settle(keeper, &node.sight, asked.own_pin().as_ref()) {
            book.note(log::Level::Info, &line);
        }
    }
    asked.act(&bundle, &spec).map(Some)
}

/// Counts what came of it, and lets the failure policy speak: the line for the log, and the answer.
fn conclude(result: Result<Verdict, Failure>, policy: OnFailure, line: Line) -> (log::Level, Line, Result<(), String>) {
    match result {
        Ok(verdict) => {
            count::verdict(&verdict);
            (log::Level::Info, said(line, &verdict), Ok(()))
        }
        Err(Failure::Refused(refusal)) => {
            let line = line.with("verdict", "refuse").with("reason", refusal.as_str()).with("error", &refusal);
            let told = refusal.to_string();
            count::verdict(&Verdict::Refuse(refusal));
            (log::Level::Error, line, Err(told))
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

fn said(line: Line, verdict: &Verdict) -> Line {
    let (word, reason) = words(verdict);
    let line = line.with("verdict", word).with("reason", reason);
    let Verdict::Adjust(plan) = verdict else { return line };
    let listed =
        |line: Line, key, names: &[String]| if names.is_empty() { line } else { line.with(key, names.join(",")) };
    let line = listed(line, "contradictions", &plan.contradictions);
    let line = listed(line, "dropped", &plan.dropped);
    if plan.stray { line.with("stray", true) } else { line }
}

/// Where interposers leave what they did. Nobody is there to be told that it cannot be written, and no container depends
/// on it.
struct Book {
    log: PathBuf,
    counts: PathBuf,
}

impl Book {
    fn of(places: &Places) -> Self {
        let file = |name: &str| Path::new(&places.state_dir).join(name);
        Self { log: file(LOG), counts: file(COUNTS) }
    }

    fn note(&self, level: log::Level, line: &Line) {
        logging::append(&self.log, level, line).unwrap_or_default();
    }

    fn count(&self) {
        metrics::add_to(&self.counts, COUNT_PATIENCE).unwrap_or_default();
    }
}
