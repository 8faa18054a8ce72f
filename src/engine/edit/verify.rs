//! What the engine's own parser made of a candidate, held against what was meant.

use super::node::{Map, Node};
use super::{Input, Kind, Wrap, cri, crio, handler, inplace, owned};

/// Holds: in the engine's account of the candidate, `after` (`containerd config dump`, `crio config`), these handlers are
/// there with every setting of those they wrap and berth in front, no other handler of berth's is, and everything else is
/// as it was: handlers, the default runtime, the CRI, NRI and all other plugins. Of `imports` alone nothing is said.
///
/// CRI-O prints some settings of a handler and not others (`seccomp_profile`, `container_create_timeout`, …): of those it
/// does not print nothing can be seen here.
///
/// # Errors
///
/// Every difference, as the path of a setting. Values are not told, because a configuration may hold credentials.
pub fn verify(input: &Input, after: &str, wraps: &[Wrap]) -> Result<(), Vec<String>> {
    let differences = compare(input, after, wraps).unwrap_or_else(|error| vec![error]);
    if differences.is_empty() { Ok(()) } else { Err(differences) }
}

fn compare(input: &Input, after: &str, wraps: &[Wrap]) -> Result<Vec<String>, String> {
    let owned = owned(input).map_err(|error| error.to_string())?;
    let mut before = read(input.kind, &input.dump)?;
    let mut after = read(input.kind, after)?;
    // Built in, and written out for a containerd that forgot it: this one does not.
    let kept = if input.kind == Kind::CriO || input.is_in_place() { Ok(Vec::new()) } else { inplace::kept(input) };
    let kept = kept.map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for wrap in wraps {
        found.extend(check_one(input, &before, &after, wrap, &owned)?);
    }
    for (name, node) in [("before", &mut before), ("after", &mut after)] {
        node.remove(&["imports"]);
        let runtimes = runtimes(input.kind, node).ok_or_else(|| format!("there are no runtime handlers {name}"))?;
        let ours = owned.iter().filter(|_| name == "before").chain(wraps.iter().map(|wrap| &wrap.new));
        for name in ours.chain(&kept) {
            node.remove(&[&runtimes[..], &[name]].concat());
        }
    }
    found.extend(before.differences(&after).into_iter().map(|path| format!("{path} is not as it was")));
    Ok(found)
}

fn read(kind: Kind, dump: &str) -> Result<Node, String> {
    match kind {
        Kind::CriO => crio::dump(dump),
        Kind::Containerd => Node::parse(dump).map_err(|error| super::EditError::dump(dump, &error)),
    }
    .map_err(|error| error.to_string())
}

/// The keys under which handlers are in a dump.
fn runtimes(kind: Kind, dump: &Node) -> Option<Vec<&'static str>> {
    let of_cri = |version| cri::keys(cri::section(version)).to_vec();
    let keys = match kind {
        Kind::CriO => vec![crio::KEYS.to_vec()],
        Kind::Containerd => vec![of_cri(3), of_cri(2)],
    };
    keys.into_iter().find(|keys| dump.table(keys).is_some_and(|map| !map.is_empty()))
}

/// One new handler.
fn check_one(input: &Input, before: &Node, after: &Node, wrap: &Wrap, owned: &[String]) -> Result<Vec<String>, String> {
    let found = runtimes(input.kind, after).and_then(|keys| after.table(&keys)?.get(&wrap.new)?.map());
    let Some(found) = found else { return Ok(vec![format!("the engine does not know the handler {}", wrap.new)]) };
    let meant = meant(input, before, wrap, owned, found).map_err(|error| error.to_string())?;
    let differences = Node::Map(meant).differences(&Node::Map(found.clone()));
    let name = |path: String| format!("{path} of the handler {} is not what it should be", wrap.new);
    Ok(differences.into_iter().map(name).collect())
}

fn meant(input: &Input, before: &Node, wrap: &Wrap, owned: &[String], found: &Map) -> Result<Map, super::EditError> {
    if input.kind != Kind::CriO {
        let handlers = cri::handlers(before);
        return cri::with_berth(wrap, handler::existing(wrap, &handlers, owned)?);
    }
    let (mut meant, settings) = crio::expected(input, before, wrap, owned)?;
    meant.insert("inherit_default_runtime".to_owned(), Node::Plain("false".to_owned()));
    meant.extend(settings.into_iter().filter(|(name, _)| found.contains_key(name)));
    Ok(meant)
}
