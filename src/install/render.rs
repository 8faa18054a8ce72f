//! What is said of a plan and of what was done. Pure.

use super::apply::engine_words;
use super::object::Object;
use super::parts::Part;
use super::plan::{ByHand, Plan};
use super::record::Role;
use super::restart::How;
use super::site::Site;
use super::uninstall::Removal;
use super::work::Content;
use super::{Mode, Told};

const NOTHING_WRITTEN: &str = "Nothing was written; --apply does it.";
const PODS_GO_ON: &str = "Pods go on running meanwhile.";

/// The plan of an install.
pub(super) fn plan(site: &Site, plan: &Plan, how: Option<&How>) -> Told {
    let mut text = Text::default();
    head(&mut text, site, plan);
    if plan.parts.is_empty() && plan.stale.is_empty() {
        text.line("Everything is as it should be: nothing would change.");
        return text.told();
    }
    files(&mut text, "Files", &plan.parts);
    files(&mut text, "Of earlier versions, which nothing uses any more", &plan.stale);
    diffs(&mut text, plan.changes.iter().map(super::super::engine::edit::Change::diff));
    if plan.concerns_engine() {
        text.section("Restart", [restart(site, how)]);
    }
    text.line(NOTHING_WRITTEN);
    text.told()
}

fn head(text: &mut Text, site: &Site, plan: &Plan) {
    text.line(&format!("{}, configured by {}", engine_words(site), site.engine.config.display()));
    text.line("");
    let handlers = plan.chosen.iter().map(|chosen| {
        format!(
            "{}  as {}, with {} in front of {}",
            chosen.wrap.new,
            chosen.wrap.handler,
            plan.bin_dir.join(&chosen.name).display(),
            chosen.delegate.display()
        )
    });
    text.section("Handlers", handlers);
    if plan.chosen.is_empty() {
        candidates(text, &plan.candidates);
    }
    if let Some(words) = plan.label.words() {
        text.line(&words);
        text.line("");
    }
}

fn candidates(text: &mut Text, candidates: &[String]) {
    text.line(match candidates {
        [] => "No handler will be wrapped, and there is none beside the default one: --handler NAME wraps one.",
        _ => "No handler will be wrapped. These can be, by --handler NAME:",
    });
    for name in candidates {
        text.line(&format!("  {name}"));
    }
    text.line("");
}

fn files(text: &mut Text, title: &str, parts: &[Part]) {
    let parts = parts.iter().filter(|part| part.role != Role::Configuration && part.is_needed());
    text.section(title, parts.map(file));
}

fn file(part: &Part) -> String {
    let path = part.path.display();
    let sign = match (&part.now, &part.content) {
        (_, Content::Absent) => '-',
        (Object::Absent, _) => '+',
        _ => '~',
    };
    let what = match &part.content {
        Content::Absent => String::new(),
        Content::Directory => "/".to_owned(),
        Content::Link(target) => format!(" -> {}", target.display()),
        Content::Program { .. } => "  (this program)".to_owned(),
        Content::Text(_) | Content::Private(_) => String::new(),
    };
    format!("{sign} {path}{what}")
}

fn diffs(text: &mut Text, diffs: impl Iterator<Item = String>) {
    for diff in diffs {
        text.line(diff.trim_end());
        text.line("");
    }
}

fn restart(site: &Site, how: Option<&How>) -> String {
    match how {
        Some(how) => format!("{how}, and wait until the engine knows the handlers. {PODS_GO_ON}"),
        None => format!(
            "not asked for; {} reads this when it starts: --restart, or restart {} yourself. {PODS_GO_ON}",
            site.engine.kind, site.engine.unit
        ),
    }
}

/// What an install has done.
pub(super) fn applied(site: &Site, plan: &Plan, restarted: Option<&How>, due: bool) -> Told {
    let mut text = Text::default();
    done(&mut text, plan.parts.iter().chain(&plan.stale));
    if let Some(words) = plan.label.words() {
        text.line(&words);
    }
    engine(&mut text, site, restarted, due);
    for chosen in &plan.chosen {
        text.line(&format!("handler {}: pods come to it by a RuntimeClass with `handler: {0}`", chosen.wrap.new));
    }
    text.told()
}

/// What was brought to an install.
pub(super) fn brought(parts: &[Part]) -> Told {
    let mut text = Text::default();
    done(&mut text, parts.iter());
    text.told()
}

fn done<'a>(text: &mut Text, parts: impl Iterator<Item = &'a Part>) {
    for part in parts.filter(|part| part.is_needed()) {
        let verb = match (&part.now, &part.content) {
            (_, Content::Absent) => "removed",
            (Object::Absent, _) => "made",
            _ => "changed",
        };
        text.line(&format!("{verb} {}", part.path.display()));
    }
}

fn engine(text: &mut Text, site: &Site, restarted: Option<&How>, due: bool) {
    match restarted {
        Some(how) => text.line(&format!("restarted {} by `{how}`", site.engine.kind)),
        None if due => text.line(&format!(
            "{} reads this when it starts: restart it ({}), or run this again with --restart",
            site.engine.kind, site.engine.unit
        )),
        None => {}
    }
}

/// Nothing had to be done.
pub(super) fn unchanged(plan: &Plan, restarted: Option<&How>, pending: bool) -> Told {
    let mut text = Text::default();
    text.line("unchanged");
    match restarted {
        Some(how) => text.line(&format!("restarted the engine by `{how}`, which had not read its configuration yet")),
        None if pending => {
            text.line("the engine has not read its configuration yet: restart it, or run this with --restart")
        }
        None => {}
    }
    if plan.chosen.is_empty() {
        candidates(&mut text, &plan.candidates);
    }
    text.told()
}

/// What is to be done by hand.
pub(super) fn by_hand(site: &Site, plan: &ByHand, mode: Mode) -> Told {
    let mut text = Text::default();
    text.line(&format!(
        "{} writes the configuration of its containerd itself; this is done by hand.",
        site.engine.name()
    ));
    text.line("");
    match &plan.stanza {
        None => candidates(&mut text, &plan.candidates),
        Some(stanza) => {
            let mut steps = vec![format!("install -D -m 0755 berth {}", plan.bin_dir.join("berth").display())];
            let names: std::collections::BTreeSet<_> = plan.chosen.iter().map(|chosen| &chosen.name).collect();
            steps.extend(names.iter().map(|name| format!("ln -s berth {}", plan.bin_dir.join(name).display())));
            text.section("Run", steps);
            text.line(&format!("{}: {}", stanza.path.display(), stanza.how));
            text.line("");
            text.line(stanza.text.trim_end());
            text.line("");
        }
    }
    text.line("Nothing was written.");
    let name = site.engine.name();
    let left = format!(
        "nothing was installed: {name} writes the configuration of its containerd itself; do what is said above by hand"
    );
    Told { left: (mode == Mode::Apply).then_some(left), ..text.told() }
}

/// There is no record.
pub(super) fn nothing_installed() -> Told {
    Told { text: "nothing is installed\n".to_owned(), ..Told::default() }
}

/// The plan of an uninstall.
pub(super) fn removal(site: &Site, removal: &Removal, how: Option<&How>, used: &[String]) -> Told {
    let mut text = Text::default();
    text.line(&format!("{}, configured by {}", engine_words(site), site.engine.config.display()));
    text.line("");
    diffs(&mut text, removal.changes.iter().map(super::super::engine::edit::Change::diff));
    let parts: Vec<_> = removal.first.iter().chain(&removal.last).cloned().collect();
    files(&mut text, "Files", &parts);
    text.section("Stay, because they were changed since", removal.kept.iter().map(|path| path.display().to_string()));
    if !removal.first.is_empty() {
        text.section("Restart", [restart_after(site, how)]);
    }
    text.section("In the way: pods that run on what would be taken out", used.iter().cloned());
    text.line(NOTHING_WRITTEN);
    Told { remarks: unasked(site).into_iter().collect(), ..text.told() }
}

fn restart_after(site: &Site, how: Option<&How>) -> String {
    match how {
        Some(how) => format!("{how}, and wait until the engine has forgotten the handlers. {PODS_GO_ON}"),
        None => format!(
            "not asked for; until {} is restarted, program and names stay: --restart, or restart {} yourself and run this \
             again",
            site.engine.kind, site.engine.unit
        ),
    }
}

/// What an uninstall has done.
pub(super) fn removed(site: &Site, removal: &Removal, restarted: Option<&How>) -> Told {
    let mut text = Text::default();
    done(&mut text, removal.first.iter().chain(&removal.last));
    engine(&mut text, site, restarted, false);
    Told { remarks: remarks(site, removal), ..text.told() }
}

/// The configuration is as it was, and the rest waits.
pub(super) fn waiting(site: &Site, removal: &Removal, why: String, restarted: Option<&How>) -> Told {
    let mut text = Text::default();
    done(&mut text, removal.first.iter());
    engine(&mut text, site, restarted, false);
    let left = format!(
        "program and names stay: {why}; restart {} ({}), then run this again, or run it with --restart",
        site.engine.kind, site.engine.unit
    );
    Told { remarks: remarks(site, removal), left: Some(left), ..text.told() }
}

/// What could not be had from the engine, and what follows.
fn unasked(site: &Site) -> Option<String> {
    let why = site.unasked.as_ref()?;
    Some(format!(
        "{} could not be asked ({why}): what goes is what the record says, and no parser of the engine's has read the rest",
        site.engine.kind
    ))
}

fn remarks(site: &Site, removal: &Removal) -> Vec<String> {
    let edited = removal
        .edited
        .iter()
        .map(|path| format!("{} was changed since: berth's own parts were taken out, the rest stays", path.display()));
    let kept = removal.kept.iter().map(|path| format!("{} was changed since: it stays", path.display()));
    unasked(site).into_iter().chain(edited).chain(kept).collect()
}

/// Lines.
#[derive(Debug, Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// A title with lines below it, and a free line; nothing without lines.
    fn section(&mut self, title: &str, lines: impl IntoIterator<Item = String>) {
        let mut lines = lines.into_iter().peekable();
        if lines.peek().is_none() {
            return;
        }
        self.line(title);
        for line in lines {
            self.line(&format!("  {line}"));
        }
        self.line("");
    }

    fn told(self) -> Told {
        Told { text: self.0, ..Told::default() }
    }
}
